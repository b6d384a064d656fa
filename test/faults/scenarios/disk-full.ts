import { rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createRandom } from '../../../src/testing/random.ts'
import { LedgerClient } from '../ledger-client.ts'
import { mountTmpfs } from '../mounts.ts'
import { Findings, type ScenarioOptions, type ScenarioResult } from '../scenario.ts'
import { ServerProcess } from '../server-process.ts'
import { within } from '../within.ts'

const DISK_SIZE = 64 * 1024 ** 2

/** Without an answer for this long, and with no page free, the disk is as full as it gets; in milliseconds. */
const SILENCE = 300

/** Within this time of space returning, messages must be acknowledged again, in milliseconds. */
const MAX_RECOVERY = 10_000

/** For how long the disk stays full, at most, in milliseconds. */
const MAX_FULL = 1000

/** One round in so many it stays full for longer than a sink without a disk buffer tries again (10 s). */
const LONG_ROUND = 4
const LONG_FULL = 12_000

/** Messages that are acknowledged on average before the disk fills up. */
const ORDINARY = 1000

/** Messages that must be acknowledged to show that it goes on. */
const PROOF = 200

/**
 * The disk fills up under load, stays full for a while, and has room again. Nothing that was acknowledged is lost, and the
 * server goes on by itself. What was not acknowledged may be given up; the clients send new messages then.
 */
export async function diskFull({ setup, seed, rounds }: ScenarioOptions): Promise<ScenarioResult> {
  const random = createRandom(seed)
  const findings = new Findings()
  await using disk = await mountTmpfs(DISK_SIZE)
  const filler = join(disk.path, 'filler')
  await using server = await ServerProcess.create(setup, join(disk.path, 'store'))
  await server.start()
  await using client = await LedgerClient.start({ port: server.port })
  for (let round = 1; ; round++) {
    await client.answered(client.answers + random.int(1, 2 * ORDINARY))
    fill(disk.path, filler, random.int(0, 1024) * 1024)
    await untilSilent(client)
    await sleep(round % LONG_ROUND === 0 ? LONG_FULL : random.int(0, MAX_FULL))
    const { bavail, bsize } = statfsSync(disk.path)
    findings.noteMost('bytes free when full', bavail * bsize)
    rmSync(filler)
    const before = performance.now()
    client.giveUp()
    const proof = client.answered(client.answers + PROOF)
    await within(MAX_RECOVERY, 'messages are acknowledged after space has returned', proof)
    findings.noteMost('slowest recovery in ms', performance.now() - before)
    if (round === rounds) break
  }
  const { code } = await server.stop()
  if (code !== 0) findings.add(rounds, `the exit code is ${code}`)
  return findings.result(client, findings.compare(rounds, client, setup, server))
}

/** Writes a file until only so many bytes are free. */
function fill(disk: string, file: string, leave: number): void {
  const { bavail, bsize } = statfsSync(disk)
  try {
    writeFileSync(file, Buffer.alloc(Math.max(0, bavail * bsize - leave)))
  } catch {
    // The server was faster, and so the disk is full already.
  }
}

async function untilSilent(client: LedgerClient): Promise<void> {
  for (let before = -1; before !== client.answers; ) {
    before = client.answers
    await sleep(SILENCE)
  }
}
