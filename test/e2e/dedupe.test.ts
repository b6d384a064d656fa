import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import { Command, sluice } from '../support/command.ts'
import { Peer } from '../support/peer.ts'
import { temporaryFolder } from '../support/server.ts'

const configFor = (steps: readonly string[]) => `
listen:
  scans:
    port: 0
    format: json
    key: msg.id
    dataflow:
      - dedupe: {}
        id: once
${steps.map((step) => `      - ${step}\n`).join('')}`

/** Runs the built program in a folder until it is killed. */
async function run(folder: string, steps: readonly string[], use: (port: number) => Promise<void>): Promise<void> {
  const file = join(folder, 'sluice.yaml')
  writeFileSync(file, configFor(steps))
  await using command = new Command(process.execPath, [sluice, 'run', '--hints', file])
  await command.hear('Ctrl-C stops the server.')
  await use(Number(/"scans" listens on port (\d+)/.exec(command.stdout)![1]))
  command.signal('SIGKILL')
  await command.finished
}

function rowsOf(folder: string): unknown[] {
  using database = new DatabaseSync(join(folder, 'scans.db'), { readOnly: true })
  return database
    .prepare('SELECT id, try FROM scans ORDER BY rowid')
    .all()
    .map((row) => `${row['id']} ${row['try']}`)
}

const line = (id: number, attempt: number) => `${JSON.stringify({ id, try: attempt })}\n`

const store = 'sqlite: { file: scans.db, table: scans }'
const reply = 'reply: "OK ${msg.id} ${msg.try}"'

it('after kill -9, what was answered is known, and what was not is delivered once more', async () => {
  // Holds the run between the committed row and the record.
  const holding = createHttpServer((_request, response) => void response)
  await once(holding.listen(0, '127.0.0.1'), 'listening')
  const { port } = holding.address() as AddressInfo
  using folder = temporaryFolder()
  const hold = `http: { url: "http://127.0.0.1:${port}/" }`

  await run(folder.path, [store, reply], async (at) => {
    await using peer = await Peer.connect(at)
    await peer.send(line(1, 1)).hear('OK 1 1\n')
  })
  await run(folder.path, [store, hold, reply], async (at) => {
    await using peer = await Peer.connect(at)
    await peer.send(line(1, 2)).hear('OK 1 1\n')
    const asked = once(holding, 'request')
    peer.send(line(2, 1))
    await asked
    expect(peer.text).toBe('OK 1 1\n')
  })
  holding.closeAllConnections()
  holding.close()
  await run(folder.path, [store, reply], async (at) => {
    await using peer = await Peer.connect(at)
    await peer.send(line(1, 3) + line(2, 2) + line(2, 3)).hear('OK 1 1\nOK 2 2\nOK 2 2\n')
  })
  expect(rowsOf(folder.path)).toEqual(['1 1', '2 1', '2 2'])
})

it('at whatever moment it is killed, a device that sends until it is answered has one answer, and few rows twice', async () => {
  using folder = temporaryFolder()
  const answers = new Map<number, string>()
  let attempt = 0
  for (let id = 1; id <= 40; ) {
    await run(folder.path, [store, reply], async (at) => {
      await using peer = await Peer.connect(at)
      // Killed while some are under way: a few are sent beyond the last that is waited for.
      const wanted = Math.min(40, id + 9)
      for (let next = id; next <= Math.min(40, wanted + 5); next++) peer.send(line(next, ++attempt))
      await peer.until(({ text }) => text.split('\n').length > wanted - id + 1)
      for (const answer of peer.text.split('\n').slice(0, -1)) {
        const answered = Number(answer.split(' ')[1])
        expect(answers.get(answered) ?? answer).toBe(answer)
        answers.set(answered, answer)
        id = Math.max(id, answered + 1)
      }
    })
  }
  await run(folder.path, [store, reply], async (at) => {
    await using peer = await Peer.connect(at)
    for (const [id, answer] of answers) await peer.send(line(id, 0)).hear(`${answer}\n`)
  })
  expect(answers.size).toBe(40)
  const rows = rowsOf(folder.path).map((row) => String(row).split(' ')[0])
  expect(new Set(rows).size).toBe(40)
  // At most what was under way at each kill.
  expect(rows.length).toBeLessThanOrEqual(40 + 4 * 15)
})
