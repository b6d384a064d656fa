import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { readDeadLetters } from '../../src/delivery/dead-letter-files.ts'
import { DEAD_LETTERS_FILE } from '../../src/delivery/dead-letters.ts'
import { MAX_MESSAGES } from '../../src/delivery/queue.ts'
import { DEATHS } from '../../src/delivery/suspects.ts'
import { Command } from '../support/command.ts'
import { Peer } from '../support/peer.ts'
import { temporaryFolder } from '../support/server.ts'

const program = fileURLToPath(new URL('../support/fatal-server.ts', import.meta.url))

function startIn(folder: string, mood?: 'down' | 'hangs'): Command {
  // The sources are read again and again.
  const env = { NODE_COMPILE_CACHE: join(folder, 'cache') }
  return new Command(process.execPath, [program, folder, ...(mood === undefined ? [] : [mood])], { env })
}

/** Puts lines into the buffer, each write as an entry, which delivers nothing, and ends the server without a crash. */
async function fill(folder: string, lines: readonly string[]): Promise<void> {
  await using server = startIn(folder, 'down')
  const port = Number(/port (\d+)/.exec(await server.hear(/port \d+\n/))![1])
  await using peer = await Peer.connect(port)
  for (const line of lines) await peer.send(`${line}\n`).hear(`OK ${line.split('\n').at(-1)}\n`)
  server.signal('SIGTERM')
  expect((await server.finished).code).toBe(0)
}

/** Starts the server again and again until nothing waits any more. @returns what it has written each time */
async function startUntilDelivered(folder: string): Promise<string[]> {
  const told: string[] = []
  for (;;) {
    await using server = startIn(folder)
    const end = await Promise.race([
      server.finished,
      server.until(({ stdout }) => stdout.includes('nothing waits')).catch(() => server.finished),
    ])
    told.push(server.stdout)
    if (end instanceof Command) {
      server.signal('SIGTERM')
      expect((await server.finished).code).toBe(0)
      return told
    }
    expect(end.code).toBe('SIGABRT')
    if (told.length > 10) throw new Error(`it dies for ever: ${told.join('\n')}`)
  }
}

function delivered(folder: string): string[] {
  return readFileSync(join(folder, 'delivered.txt'), 'utf8').trim().split('\n')
}

function buried(folder: string): string[] {
  const letters = readDeadLetters(join(folder, 'sluice-data', DEAD_LETTERS_FILE))
  return letters.map(({ raw, code, step }) => `${raw} ${code} ${step}`).toReversed()
}

/** Lines, some of which are poison. They come to the buffer one after the other, or all at once. */
function linesWith(...poison: readonly number[]): string[] {
  return Array.from({ length: 40 }, (_, i) => `${poison.includes(i) ? 'poison' : 'line'} ${i}`)
}

const TIMEOUT = 60_000

describe('a message in a disk buffer that kills the process when it is delivered', () => {
  it(
    'is found and given up after four deaths, past an onError that would die of it too; all others are delivered',
    async () => {
      using folder = temporaryFolder()
      const lines = linesWith(17)
      await fill(folder.path, lines)
      const starts = await startUntilDelivered(folder.path)
      expect(starts).toHaveLength(DEATHS + 2)
      expect(starts.map((told) => /suspected .*/.exec(told)?.[0])).toEqual([
        undefined,
        undefined,
        undefined,
        `suspected deaths=${DEATHS} blamed=0`,
        // The entries before it were settled one by one, so it stands at the head now.
        'suspected deaths=1 blamed=1',
      ])
      expect(starts.at(-1)).toContain('poison 17 process_died dead letter')
      expect(buried(folder.path)).toEqual(['poison 17 process_died store'])
      const counted = Map.groupBy(delivered(folder.path), (line) => line)
      expect([...counted.keys()].toSorted()).toEqual(lines.filter((line) => !line.startsWith('poison')).toSorted())
      // What stands before it was delivered in each of the first starts, and once when it was looked for; the rest once.
      for (const [line, copies] of counted)
        expect(copies.length, line).toBe(Number(line.split(' ')[1]) < 17 ? DEATHS + 1 : 1)
      // Nothing is suspected after that.
      await using server = startIn(folder.path)
      await server.hear('nothing waits')
      expect(server.stdout).not.toContain('suspected')
    },
    TIMEOUT,
  )

  it(
    'is found beside another one in the same entry, with one death more',
    async () => {
      using folder = temporaryFolder()
      const lines = linesWith(3, 4, 30)
      await fill(folder.path, [lines.join('\n')])
      const starts = await startUntilDelivered(folder.path)
      expect(starts).toHaveLength(DEATHS + 4)
      expect(buried(folder.path)).toEqual(
        ['poison 3', 'poison 4', 'poison 30'].map((text) => `${text} process_died store`),
      )
      const good = lines.filter((line) => !line.startsWith('poison'))
      expect([...new Set(delivered(folder.path))].toSorted()).toEqual(good.toSorted())
    },
    TIMEOUT,
  )

  it(
    'is found behind as many messages as are delivered at once',
    async () => {
      using folder = temporaryFolder()
      const lines = Array.from({ length: 1100 }, (_, i) => `${i === MAX_MESSAGES ? 'poison' : 'line'} ${i}`)
      await fill(folder.path, [lines.slice(0, MAX_MESSAGES).join('\n'), lines.slice(MAX_MESSAGES).join('\n')])
      await startUntilDelivered(folder.path)
      expect(buried(folder.path)).toEqual([`poison ${MAX_MESSAGES} process_died store`])
      const good = lines.filter((line) => !line.startsWith('poison'))
      expect([...new Set(delivered(folder.path))].toSorted()).toEqual(good.toSorted())
    },
    TIMEOUT,
  )
})

describe('a server that is killed again and again while the destination is down', () => {
  it(
    'blames no message',
    async () => {
      using folder = temporaryFolder()
      const lines = linesWith()
      await fill(folder.path, lines)
      for (let i = 0; i < DEATHS; i++) {
        await using server = startIn(folder.path, 'down')
        await server.hear('retried')
        server.signal('SIGKILL')
        await server.finished
      }
      const [told, ...more] = await startUntilDelivered(folder.path)
      expect(more).toEqual([])
      expect(told).toContain('suspected deaths=3 blamed=0')
      expect(delivered(folder.path)).toEqual(lines)
    },
    TIMEOUT,
  )

  it(
    'blames no message whose delivery hung when the server was stopped',
    async () => {
      using folder = temporaryFolder()
      await fill(folder.path, linesWith())
      for (let i = 0; i < DEATHS; i++) {
        await using server = startIn(folder.path, 'down')
        await server.hear('retried')
        server.signal('SIGKILL')
        await server.finished
      }
      {
        await using server = startIn(folder.path, 'hangs')
        await server.hear('hangs')
        expect(server.stdout).toContain('suspected')
        server.signal('SIGTERM')
        expect((await server.finished).code).toBe(0)
      }
      const [told, ...more] = await startUntilDelivered(folder.path)
      expect(more).toEqual([])
      expect(told).not.toContain('suspected')
      expect(delivered(folder.path)).toEqual(linesWith())
    },
    TIMEOUT,
  )
})
