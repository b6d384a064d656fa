import { join } from 'node:path'
import { LedgerClient } from '../ledger-client.ts'
import { Newcomers } from '../newcomers.ts'
import { Findings, type OwnOptions, type ScenarioResult } from '../scenario.ts'
import { ServerProcess } from '../server-process.ts'
import { type Configured, configOf, REPLY, sqliteSetup, withWorkers } from '../setup.ts'

/** Connections that stay, their messages in a second, and connections that come and go in a second. */
const LONG = { connections: 1000, pace: 2000, newcomers: 500 }
const SHORT = { connections: 50, pace: 500, newcomers: 50 }

/** After so many reloads there is one that cannot be, because the configuration has a mistake. */
const INVALID = 5

/** `sluice reload` again and again under load. Nobody is refused, nobody is dropped, and a mistake changes nothing. */
export function reload(options: OwnOptions): Promise<ScenarioResult> {
  return run(1, options)
}

/** The same with two workers: a reload reaches both. */
export function reloadWorkers(options: OwnOptions): Promise<ScenarioResult> {
  return run(2, options)
}

async function run(workers: number, { rounds, acknowledged, measured }: OwnOptions): Promise<ScenarioResult> {
  const findings = new Findings()
  const { connections, pace, newcomers: perSecond } = measured ? LONG : SHORT
  const [first, second, wrong] = [sqliteSetup, FILTERED, WRONG].map((setup) => withWorkers(workers, setup))
  const variants = [first!, second!]
  await using server = await ServerProcess.create(first!)
  await server.start()
  await using client = await LedgerClient.start({ port: server.port, connections, outstanding: 4 })
  client.pace(pace)
  const newcomers = new Newcomers(server.port, client.ledger, perSecond)
  const mean = Math.ceil(acknowledged / rounds)
  for (let round = 1; round <= rounds; round++) {
    await client.answered(Math.min(acknowledged, round * mean))
    const next = variants[round % variants.length]!
    if (round % INVALID === 0) {
      server.configure(wrong!)
      const { code } = await server.reload()
      if (code !== 1) findings.add(round, `a wrong configuration was taken with ${code}`)
      findings.noteMore('wrong configurations refused', 1)
      // What was in force before still is: to say it once more changes nothing.
      server.configure(variants[(round - 1) % variants.length]!)
      const { stdout } = await server.reload()
      if (!/^unchanged +ledger$/m.test(stdout)) findings.add(round, `a wrong configuration has changed: ${stdout}`)
    }
    server.configure(next)
    const before = performance.now()
    const { code, stdout, stderr } = await server.reload()
    findings.noteMost('slowest reload in ms', performance.now() - before)
    if (code !== 0 || !/^changed +ledger$/m.test(stdout)) findings.add(round, `the reload said ${stdout}${stderr}`)
  }
  await newcomers.stop()
  client.pace(undefined)
  await client.answered(client.answers + connections)
  await client.stop()
  const { served, refused, dropped } = newcomers
  findings.noteMost('connections that came and went', served)
  if (refused > 0) findings.add(rounds, `${refused} connections were refused`)
  if (dropped > 0) findings.add(rounds, `${dropped} connections were dropped before their answer`)
  if (client.connections < connections)
    findings.add(rounds, `${connections - client.connections} of ${connections} connections were dropped`)
  if (client.ledger.acknowledged < client.ledger.sent)
    findings.add(rounds, `${client.ledger.sent - client.ledger.acknowledged} messages have no answer`)
  return findings.result(client, findings.compare(rounds, client, sqliteSetup, server))
}

/** What is in force after every second reload. */
const FILTERED: Configured = {
  config: ({ port, store }) =>
    configOf(port, store, [
      `filter: "msg != ''"`,
      `sqlite: { file: ${join(store, 'rows.db')}, table: rows, columns: { line: msg } }`,
      REPLY,
    ]),
}

const WRONG: Configured = {
  config: ({ port, store }) => configOf(port, store, ['filter: "msg.nothing ==="', REPLY]),
}
