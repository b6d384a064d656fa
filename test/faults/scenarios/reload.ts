import { join } from 'node:path'
import { type OwnOptions, type ScenarioResult, type WithNewcomers, withNewcomers } from '../scenario.ts'
import { type Configured, configOf, REPLY, sqliteSetup, withWorkers } from '../setup.ts'

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

function run(workers: number, options: OwnOptions): Promise<ScenarioResult> {
  const setup = withWorkers(workers, sqliteSetup)
  const variants = [setup, withWorkers(workers, FILTERED)]
  const wrong = withWorkers(workers, WRONG)
  const act = async ({ findings, server }: WithNewcomers, round: number): Promise<void> => {
    if (round % INVALID === 0) {
      server.configure(wrong)
      const { code } = await server.reload()
      if (code !== 1) findings.add(round, `a wrong configuration was taken with ${code}`)
      findings.noteMore('wrong configurations refused', 1)
      // What was in force before still is: to say it once more changes nothing.
      server.configure(variants[(round - 1) % variants.length]!)
      const { stdout } = await server.reload()
      if (!/^unchanged +ledger$/m.test(stdout)) findings.add(round, `a wrong configuration has changed: ${stdout}`)
    }
    server.configure(variants[round % variants.length]!)
    const before = performance.now()
    const { code, stdout, stderr } = await server.reload()
    findings.noteMost('slowest reload in ms', performance.now() - before)
    if (code !== 0 || !/^changed +ledger$/m.test(stdout)) findings.add(round, `the reload said ${stdout}${stderr}`)
  }
  const { rounds } = options
  const ended = ({ findings, client, connections }: WithNewcomers, dropped: number): void => {
    const { acknowledged, sent } = client.ledger
    const gone = connections - client.connections
    if (dropped > 0) findings.add(rounds, `${dropped} connections were dropped before their answer`)
    if (gone > 0) findings.add(rounds, `${gone} of ${connections} connections were dropped`)
    if (acknowledged < sent) findings.add(rounds, `${sent - acknowledged} messages have no answer`)
  }
  return withNewcomers(setup, options, act, ended)
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
