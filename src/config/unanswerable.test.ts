import { expect, test } from 'vitest'
import { createRegistry } from '../registry/builtins.ts'
import { planConfig } from './plan.ts'
import { formatPath } from './problems.ts'
import { readYaml } from './yaml-source.ts'

/** Code, path, line:column, message and hint of each problem. */
const problemsOf = (text: string) =>
  planConfig(readYaml(text, 'sluice.yaml', '.'), createRegistry(), {}).problems.map(
    ({ code, path, position, message, hint }) =>
      `${code} ${formatPath(path)} ${position?.line}:${position?.column}: ${message} → ${hint}`,
  )

test('nobody can be answered in a branch that is not waited for, nor from what is inside it', () => {
  const forked = (finishedWhen: string, steps: string, dataflows = '{}') =>
    problemsOf(
      `listen:\n  a:\n    port: 1\n    dataflow:\n      - fork:\n          finishedWhen: ${finishedWhen}\n          branches:\n            store: [ log: x ]\n            answer: ${steps}\ndataflows: ${dataflows}`,
    )
  const late = 'fork does not wait for the branch answer, and what it answers would come too late'
  const hint = 'add answer to finishedWhen, or answer outside the branch'
  const at = 'listen.a.dataflow[0].fork.branches.answer'
  expect(forked('[ store ]', '[ reply: x ]')).toEqual([`NO_CONNECTION ${at}[0].reply 9:23: ${late} → ${hint}`])
  expect(forked('[]', '[ ack: mllp ]')).toEqual([`NO_CONNECTION ${at}[0].ack 9:23: ${late} → ${hint}`])
  expect(forked('[ store ]', '[ expect: {} ]')).toHaveLength(1)
  expect(forked('[ store ]', '[ each: { list: msg, dataflow: [ reply: x ] } ]')).toEqual([
    `NO_CONNECTION ${at}[0].each.dataflow[0].reply 9:54: ${late} → ${hint}`,
  ])
  expect(forked('[ store ]', '[ fork: { branches: { inner: [ reply: x ] } } ]')).toHaveLength(1)
  expect(forked('[ store ]', '[ { map: msg.x, onError: [ reply: x ] } ]')).toHaveLength(1)
  expect(forked('[ store ]', '[ { filter: msg.x, else: [ reply: x ] } ]')).toHaveLength(1)
  expect(forked('[ store ]', 'told', '{ told: [ reply: x ] }')).toEqual([
    `NO_CONNECTION dataflows.told[0].reply 10:22: ${late} → ${hint}`,
  ])
  // What nobody waits for can end the connection all the same.
  expect(forked('[ store ]', '[ { log: x }, { close: {} } ]')).toEqual([])
  expect(forked('[ answer ]', '[ reply: x ]')).toEqual([])
  expect(forked('[ store, answer ]', '[ fork: { branches: { inner: [ reply: x ] } } ]')).toEqual([])
})

test('who failed in a relay is not answered, for its server does that', () => {
  const text =
    'listen:\n  a:\n    port: 1\n    relay: { to: "b:1", inspect: copy, toServer: [ log: x ] }\n    onError: [ reply: x ]'
  expect(problemsOf(text)).toEqual([
    'NO_CONNECTION listen.a.onError[0].reply 5:16: reply speaks to the sender, and in a relay the other side does that → take reply away, or use log or a sink',
  ])
})
