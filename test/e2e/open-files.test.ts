/** A process that may open fewer files than its endpoints may have connections. */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Command, sluice } from '../support/command.ts'
import { temporaryFolder } from '../support/server.ts'

const entry = (limit: number) =>
  `{ host: 127.0.0.1, port: 0, limits: { maxConnections: ${limit} }, dataflow: [ reply: "\${msg}" ] }`

/** Starts a server with so many files and gives its log when it listens. */
async function logWith(files: number, config: string): Promise<{ event: string; level: string; text: string }[]> {
  using folder = temporaryFolder()
  const file = join(folder.path, 'sluice.yaml')
  writeFileSync(file, config)
  const script = `ulimit -n ${files} && exec "$@"`
  await using command = new Command('sh', ['-c', script, 'sh', process.execPath, sluice, 'run', '--hints', file])
  await command.hear('Ctrl-C stops the server.')
  command.signal('SIGTERM')
  const { stderr } = await command.finished
  return stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
}

describe.skipIf(!existsSync('/proc/self/limits'))('the limit of open files', () => {
  it('is told of when the endpoints together may have more than 80 % of it', async () => {
    const log = await logWith(100, `listen: { a: ${entry(40)}, b: ${entry(41)} }\n`)
    expect(log.find(({ event }) => event === 'limits.openFiles')).toMatchObject({
      level: 'warn',
      text: expect.stringMatching(/^81 connections are allowed in all, but this process may open only 100 files/),
      hint: expect.stringContaining('ulimit -n'),
    })
  })

  it('is not told of when there are enough', async () => {
    const log = await logWith(100, `listen: { a: ${entry(40)}, b: ${entry(40)} }\n`)
    expect(log.map(({ event }) => event)).toContain('server.started')
    expect(log.map(({ event }) => event)).not.toContain('limits.openFiles')
  })
})
