import { describe, expect, test } from 'vitest'
import { createRegistry } from '../registry/builtins.ts'
import { runCase } from '../testing/run-case.ts'
import { diffPlans } from './diff.ts'
import { configOfValue } from './loaded.ts'
import { type Planned, planConfig } from './plan.ts'
import { formatPath } from './problems.ts'
import { describePlan } from './promise.ts'

const dataflow = [{ stdout: {} }]

function plan(entry: object): Planned {
  return planConfig(configOfValue({ schedule: { nightly: entry } }, '/config'), createRegistry(), {})
}

const problems = (entry: object) =>
  plan(entry).problems.map(({ code, path, message, expected }) =>
    [code, `${formatPath(path)}:`, message, ...(expected === undefined ? [] : [`(expected ${expected})`])].join(' '),
  )

describe('an entry of schedule', () => {
  test.each<[object, object]>([
    [{ every: '1m' }, { when: { every: 60_000 }, runAtStart: false }],
    [
      { at: '02:30', runAtStart: true },
      { when: { at: [9_000_000], timezone: 'UTC' }, runAtStart: true },
    ],
    [
      { at: ['06:00', '14:00:30'], timezone: 'Europe/Berlin' },
      { when: { at: [21_600_000, 50_430_000], timezone: 'Europe/Berlin' } },
    ],
  ])('%j says when it runs', (entry, timing) => {
    const { plan: planned, problems } = plan({ ...entry, dataflow })
    expect(problems).toEqual([])
    expect(planned!.endpoints).toMatchObject([{ kind: 'schedule', name: 'nightly', timing }])
  })

  test.each<[object, string]>([
    [{}, 'SCHEDULE_INVALID schedule.nightly: schedule.nightly does not say when it runs'],
    [{ every: '1m', at: '02:30' }, 'SCHEDULE_INVALID schedule.nightly.at: schedule.nightly has both every and at'],
    [
      { every: '1m', timezone: 'UTC' },
      'SCHEDULE_INVALID schedule.nightly.timezone: schedule.nightly has a timezone, and every needs none',
    ],
    [
      { at: '2:30' },
      'VALUE_INVALID schedule.nightly.at: schedule.nightly.at is "2:30" (expected a time of day in quotes, such as "02:30")',
    ],
    [
      { at: '02:30', timezone: 'Berlin' },
      'VALUE_INVALID schedule.nightly.timezone: schedule.nightly.timezone is "Berlin" (expected a time zone, such as Europe/Berlin)',
    ],
    [
      { every: '1m', dataflow: [{ reply: 'x' }] },
      'NO_CONNECTION schedule.nightly.dataflow[0].reply: reply needs a connection, and a schedule has none',
    ],
    [
      { every: '1m', dataflow: [{ close: {} }] },
      'NO_CONNECTION schedule.nightly.dataflow[0].close: close needs a connection, and a schedule has none',
    ],
  ])('%j is refused', (entry, problem) => {
    expect(problems({ dataflow, ...entry })).toEqual([problem])
  })

  test('without a dataflow is warned of', () => {
    expect(problems({ every: '1m' })).toEqual([
      'DATAFLOW_MISSING schedule.nightly: nightly does nothing when it is time',
    ])
  })

  test('is told of in words', () => {
    const words = (entry: object) => describePlan(plan({ ...entry, dataflow }).plan!)[0]
    expect(words({ every: '90s' })).toContain('nightly: runs every 90s')
    expect(words({ at: ['02:30', '14:00:30'], timezone: 'Europe/Berlin', runAtStart: true })).toBe(
      'nightly: runs at 02:30, 14:00:30 (Europe/Berlin), and at the start, with event == "timer" and msg == null',
    )
  })

  test('has changed when its time has', () => {
    const of = (entry: object) => plan({ ...entry, dataflow }).plan!
    expect(diffPlans(of({ every: '1m' }), of({ every: '60s' })).changed).toEqual([])
    expect(diffPlans(of({ every: '1m' }), of({ every: '2m' })).changed).toEqual(['nightly'])
  })

  test('is tested by a case that sends nothing', async () => {
    const { plan: planned } = plan({
      at: '02:30',
      dataflow: [{ map: { event: 'event', msg: 'msg', from: 'endpoint' } }, { stdout: {} }],
    })
    const sinks = { stdout: [{ event: 'timer', msg: null, from: 'nightly' }] }
    await runCase(planned!, { name: 'a run', endpoint: 'nightly', sends: '', split: true, sinks })
  })
})
