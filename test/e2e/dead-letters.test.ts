import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { readDeadLetters } from '../../src/delivery/dead-letter-files.ts'
import { RunningSluice, runSluice } from '../support/cli.ts'
import { Command, sluice } from '../support/command.ts'
import { freePort } from '../support/free-port.ts'
import { HttpServer } from '../support/http-server.ts'
import { Peer } from '../support/peer.ts'
import { temporaryFolder } from '../support/server.ts'

const posting = (url: string) =>
  `listen:\n  lines: { host: 127.0.0.1, port: 0, dataflow: [ { http: { url: "${url}" }, id: post }, reply: OK ] }\n`

const lettersIn = (data: string) => readDeadLetters(join(data, 'dead-letters.db')).reverse()

/** Sends lines that the destination refuses for good. */
async function fail(running: RunningSluice, lines: readonly string[]): Promise<string> {
  await using client = await Peer.connect(running.port('lines'))
  client.send(lines.map((line) => `${line}\n`).join(''))
  await running.logged('deadLetter.stored')
  const data = join(running.folder, 'sluice-data')
  await expect.poll(() => lettersIn(data).length).toBe(lines.length)
  return data
}

describe('sluice dead retry', () => {
  it('lets the running server deliver what failed, in order, once the destination takes it', async () => {
    await using destination = await HttpServer.start()
    destination.answer = (response) => response.writeHead(400).end()
    await using running = await RunningSluice.start(posting(destination.url))
    const data = await fail(running, ['a', 'b', 'c'])
    const config = join(running.folder, 'sluice.yaml')
    const one = await runSluice(['dead', 'retry', '1', '--config', config])
    expect(one).toMatchObject({ code: 1, stdout: '0 dead letters delivered\n' })
    expect(one.stderr).toMatch(/^1: failed again: .*400.*\n1 dead letter left\n$/)
    expect(lettersIn(data).map(({ attempts }) => attempts)).toEqual([2, 1, 1])

    const asked = await runSluice(['dead', 'retry', '--all', '--data', data])
    expect(asked).toMatchObject({ code: 1, stderr: 'that is 3 dead letters; with --yes it is done\n' })
    expect(asked.stdout).toBe('      3  lines  post  sink_failed\n')
    const dry = await runSluice(['dead', 'retry', '--step', 'post', '--dry-run', '--data', data])
    expect(dry).toMatchObject({ code: 0, stderr: '', stdout: asked.stdout })
    expect(destination.requests.length).toBe(4)

    destination.requests.length = 0
    destination.answer = (response) => response.end('ok')
    const all = await runSluice(['dead', 'retry', '--endpoint', 'lines', '--yes', '--data', data])
    expect(all).toMatchObject({ code: 0, stderr: '' })
    expect(all.stdout).toContain('3 dead letters delivered; 3 answers skipped, because nobody waits for them\n')
    expect(destination.bodies).toEqual(['a', 'b', 'c'])
    expect(lettersIn(data)).toEqual([])
  })

  it('says what to do without a server, and what is wrong with the choice', async () => {
    await using destination = await HttpServer.start()
    destination.answer = (response) => response.writeHead(400).end()
    await using running = await RunningSluice.start(posting(destination.url))
    const data = await fail(running, ['a'])
    running.command.signal('SIGTERM')
    await running.command.finished
    const { code, stderr } = await runSluice(['dead', 'retry', '1', '--data', data])
    expect(code).toBe(1)
    expect(stderr).toContain(`no server answers at ${data}/control.sock\n  → Start it with sluice run`)
    expect(lettersIn(data)).toHaveLength(1)
    expect(await runSluice(['dead', 'retry', '--data', data])).toMatchObject({ code: 2 })
    expect(await runSluice(['dead', 'retry', '1', '--all', '--data', data])).toMatchObject({ code: 2 })
    expect(await runSluice(['dead', 'retry', 'x', '--data', data])).toMatchObject({ code: 2 })
    expect(await runSluice(['dead', 'retry', '9', '--data', data])).toMatchObject({
      code: 1,
      stderr: 'there is no dead letter 9 among those that were chosen\n',
    })
  })

  it('loses nothing when the server is killed in the middle', async () => {
    await using destination = await HttpServer.start()
    destination.answer = (response) => response.writeHead(400).end()
    await using running = await RunningSluice.start(posting(destination.url))
    const data = await fail(running, ['a', 'b'])
    const asked = Promise.withResolvers<void>()
    destination.requests.length = 0
    // It has the message, and the server never hears of it.
    destination.answer = () => asked.resolve()
    const retry = runSluice(['dead', 'retry', '--all', '--yes', '--data', data])
    await asked.promise
    running.command.signal('SIGKILL')
    expect(await retry).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('the server ended before it had answered'),
    })
    expect(lettersIn(data).map(({ id, attempts }) => [id, attempts])).toEqual([
      [1, 1],
      [2, 1],
    ])
    destination.answer = (response) => response.end('ok')
    await using again = new Command(process.execPath, [sluice, 'run', '--hints', join(running.folder, 'sluice.yaml')])
    await again.hear('Ctrl-C stops the server.')
    expect(await runSluice(['dead', 'retry', '--all', '--yes', '--data', data])).toMatchObject({ code: 0, stderr: '' })
    expect(destination.bodies).toEqual(['a', 'a', 'b'])
    expect(lettersIn(data)).toEqual([])
  })
})

describe('sluice dead drop', () => {
  it('removes what was chosen, with the server and without it', async () => {
    await using destination = await HttpServer.start()
    destination.answer = (response) => response.writeHead(400).end()
    await using running = await RunningSluice.start(posting(destination.url))
    const data = await fail(running, ['a', 'b', 'c', 'd'])
    expect(await runSluice(['dead', 'drop', '2', '--data', data])).toMatchObject({
      code: 0,
      stdout: '1 dead letter removed\n',
    })
    const none = await runSluice(['dead', 'drop', '--until', '1h', '--data', data])
    expect(none).toMatchObject({ code: 0, stdout: 'there is none of these\n' })
    running.command.signal('SIGTERM')
    await running.command.finished
    expect(await runSluice(['dead', 'drop', '1', '3', '--yes', '--data', data])).toMatchObject({ code: 0 })
    expect(lettersIn(data).map(({ id }) => id)).toEqual([4])
    expect(await runSluice(['dead', 'drop', '--code', 'sink_failed', '--data', data])).toMatchObject({ code: 0 })
    expect(lettersIn(data)).toEqual([])
  })
})

describe('sluice data', () => {
  const refusing = (url: string, port: number) => `${posting(url)}  waiting:
    host: 127.0.0.1
    port: 0
    dataflow: [ { tcp: { host: 127.0.0.1, port: ${port}, buffer: disk }, id: central }, reply: OK ]
`

  /** A data folder with two dead letters and three messages in a buffer, for which nobody listens. */
  async function filled(): Promise<{ readonly data: string; readonly running: RunningSluice }> {
    await using destination = await HttpServer.start()
    destination.answer = (response) => response.writeHead(400).end()
    const running = await RunningSluice.start(refusing(destination.url, await freePort()))
    const data = await fail(running, ['a', '\xff'])
    await using client = await Peer.connect(running.port('waiting'))
    await client.send('x\ny\nz\n').hear('OK\nOK\nOK\n')
    return { data, running }
  }

  it('says what is stored, finds no damage, and exports it, while the server runs and after it', async () => {
    const { data, running } = await filled()
    await using _ = running
    for (const isRunning of [true, false]) {
      if (!isRunning) {
        running.command.signal('SIGTERM')
        await running.command.finished
      }
      const status = await runSluice(['data', 'status', '--data', data])
      expect(status).toMatchObject({ code: 0, stderr: '' })
      expect(status.stdout).toMatch(
        /^buffers\.db {2}layout 2, \d+ bytes on disk\n {2}central: 3 messages, the oldest from /,
      )
      expect(status.stdout).toMatch(
        /dead-letters\.db {2}layout 2, .*\n {2}lines post: 2 messages, the oldest from .*\n$/,
      )
      expect(await runSluice(['data', 'check', '--data', data])).toEqual({
        code: 0,
        stderr: '',
        stdout: 'no damage in buffers.db, dead-letters.db\n',
      })
      const letters = await exported(['dead-letters', '--data', data])
      expect(letters).toMatchObject([
        { id: 1, endpoint: 'lines', step: 'post', code: 'sink_failed', raw: 'YQ==', text: 'a', value: 'a' },
        { id: 2, text: expect.any(String) },
      ])
      const waiting = await exported(['central', '--data', data])
      expect(waiting).toMatchObject(['x', 'y', 'z'].map((text) => ({ step: 'central', endpoint: 'waiting', text })))
      expect(new Set(waiting.map(({ key }) => key)).size).toBe(3)
    }
    expect(await runSluice(['data', 'export', 'nothing', '--data', data])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('nothing is kept for a step nothing'),
    })
  }, 60_000)

  it('finds damage, and leaves out what is damaged', async () => {
    const { data, running } = await filled()
    {
      await using _ = running
      running.command.signal('SIGTERM')
      await running.command.finished
      using copy = temporaryFolder()
      const folder = join(copy.path, 'data')
      mkdirSync(folder)
      for (const name of ['buffers.db', 'dead-letters.db']) copyFileSync(join(data, name), join(folder, name))
      const buffers = new DatabaseSync(join(folder, 'buffers.db'))
      buffers.exec(
        `UPDATE entries SET data = CAST(x'00' || substr(data, 2) AS BLOB) WHERE id = (SELECT min(id) FROM entries)`,
      )
      buffers.close()
      const letters = new DatabaseSync(join(folder, 'dead-letters.db'))
      letters.exec(`UPDATE dead_letters SET packed = x'0102' WHERE id = 2`)
      letters.close()
      const { code, stderr } = await runSluice(['data', 'check', '--data', folder])
      expect(code).toBe(1)
      expect(stderr).toMatch(/^buffers\.db: entry \d+ of the buffer central: its checksum is wrong$/m)
      expect(stderr).toContain('dead-letters.db: dead letter 2: it cannot be read\n')
      expect(await runSluice(['data', 'export', 'central', '--data', folder])).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/^entry \d+ is damaged and left out$/m),
      })
      writeFileSync(join(folder, 'dead-letters.db'), 'no database '.repeat(200))
      const broken = await runSluice(['data', 'check', '--data', folder])
      expect(broken).toMatchObject({ code: 1, stderr: expect.stringContaining('file is not a database') })
    }
  }, 60_000)

  it('says when there is nothing', async () => {
    using folder = temporaryFolder()
    const { code, stdout } = await runSluice(['data', 'status', '--data', folder.path])
    expect({ code, stdout }).toEqual({ code: 0, stdout: `nothing is stored in ${folder.path}\n` })
    expect(await runSluice(['data', 'check', '--data', join(folder.path, 'no')])).toMatchObject({ code: 1 })
  })
})

async function exported(args: readonly string[]): Promise<Record<string, unknown>[]> {
  const { code, stdout, stderr } = await runSluice(['data', 'export', ...args])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}
