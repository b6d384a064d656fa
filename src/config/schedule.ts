import type { StepDefinition } from '../contracts/define.ts'
import type { Place, Unanswerable } from './place.ts'
import type { SchedulePlan } from './planned.ts'
import type { Planner } from './planner.ts'
import type { ConfigPath } from './problems.ts'
import type { Report } from './report.ts'
import type { ScheduleOutput } from './schema-sources.ts'

/** Plans an entry of `schedule:`. @returns undefined when there is a mistake that leaves nothing to plan */
export function planSchedule(
  name: string,
  entry: ScheduleOutput,
  planner: Planner,
  report: Report,
): SchedulePlan | undefined {
  const path = ['schedule', name]
  const counters = planner.countersOf(name)
  const place: Place = { within: [], counters, unanswerable: nobodyThere }
  const dataflow = planner.steps(entry.dataflow, [...path, 'dataflow'], { ...place, whole: { hasKey: false } })
  const onError = planner.steps(entry.onError, [...path, 'onError'], place)
  if (dataflow === undefined && !report.isWrong([...path, 'dataflow'])) {
    const hint = 'add dataflow: with at least one step'
    const message = `${name} does nothing when it is time`
    report.add({ code: 'DATAFLOW_MISSING', severity: 'warning', path, at: 'key', message, hint })
  }
  const format = planner.parts.formats(entry.format, [...path, 'format'])
  const framing = planner.parts.framing('raw', [])
  const when = whenOf(entry, path, report)
  if (format === undefined || framing === undefined || when === undefined) return undefined
  const timing = { when, runAtStart: entry.runAtStart }
  return {
    kind: 'schedule',
    name,
    path,
    position: report.positionOf(path),
    timing,
    framingOut: framing.part,
    formatIn: format.in.part,
    formatOut: format.out.part,
    formatWords: { in: format.in.words, out: format.out.words },
    key: undefined,
    dataflow,
    onError,
    written: [timing, ...planner.parts.takeWritten()],
    counters,
  }
}

function whenOf(
  { every, at, timezone }: ScheduleOutput,
  path: ConfigPath,
  report: Report,
): SchedulePlan['timing']['when'] | undefined {
  const name = path.join('.')
  if (every !== undefined && at !== undefined) {
    const message = `${name} has both every and at`
    report.add({ code: 'SCHEDULE_INVALID', path: [...path, 'at'], at: 'key', message, hint: 'keep one of them' })
    return undefined
  }
  if (every !== undefined) {
    if (timezone === undefined) return { every }
    const message = `${name} has a timezone, and every needs none`
    const hint = 'take it away, or write at: "02:30" for a time of day'
    report.add({ code: 'SCHEDULE_INVALID', path: [...path, 'timezone'], at: 'key', message, hint })
    return undefined
  }
  if (at !== undefined) return { at, timezone: timezone ?? 'UTC' }
  if (['every', 'at'].some((key) => report.isWrong([...path, key]))) return undefined
  const hint = 'write every: 1m, or at: "02:30" for a time of day'
  report.add({ code: 'SCHEDULE_INVALID', path, at: 'key', message: `${name} does not say when it runs`, hint })
  return undefined
}

function nobodyThere({ name, coversRest }: StepDefinition): Unanswerable | undefined {
  // What follows a message to its end gives the answers of others, and may do without them.
  if (coversRest === true) return undefined
  const message = `${name} needs a connection, and a schedule has none`
  return { message, hint: 'take it away, or use send, which writes to clients by their name' }
}
