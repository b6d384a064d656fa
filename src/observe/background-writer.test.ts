import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text as streamText } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { BackgroundWriter } from './background-writer.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-writer-'))
})
afterEach(() => rm(folder, { recursive: true }))

it('writes everything in order, and counts what waits', async () => {
  const path = join(folder, 'out')
  const fd = openSync(path, 'w')
  const writer = new BackgroundWriter(fd)
  const lines = Array.from({ length: 1000 }, (_, i) => `línea ${i} ${'x'.repeat(i)}\n`)
  for (const line of lines) writer.write(line)
  expect(writer.waiting).toBe(Buffer.byteLength(lines.join('')))
  await writer.close()
  expect(writer.waiting).toBe(0)
  expect(readFileSync(path, 'utf8')).toBe(lines.join(''))
  closeSync(fd)
})

it('goes on where nothing can be written', async () => {
  const path = join(folder, 'out')
  closeSync(openSync(path, 'w'))
  const readOnly = openSync(path, 'r')
  const writer = new BackgroundWriter(readOnly)
  writer.write('lost\n')
  await writer.flush()
  writer.write('lost too\n')
  await writer.close()
  expect(writer.waiting).toBe(0)
  closeSync(readOnly)
})

const url = new URL('./background-writer.ts', import.meta.url)

it.each([
  ['a process that exits at once', 'process.exit(3)', 3],
  ['a process that breaks', 'await Promise.reject(new Error("broken"))', 1],
])('of %s writes the rest', (_, end, status) => {
  const program = `
    import { BackgroundWriter } from '${url}'
    const writer = new BackgroundWriter(1)
    for (let i = 0; i < 2000; i++) writer.write(i + '\\n')
    ${end}`
  const ended = spawnSync(process.execPath, ['--input-type=module', '--eval', program], { encoding: 'utf8' })
  expect(ended.status).toBe(status)
  // The write that was under way may come behind the rest.
  const written = ended.stdout.trimEnd().split('\n').map(Number)
  expect(written.sort((a, b) => a - b)).toEqual(Array.from({ length: 2000 }, (_, i) => i))
})

it('waits for a pipe that does not block and is full', () => {
  // Whoever started us may have made the pipe so.
  const program = `
import fcntl, os, subprocess, sys, time
read, write = os.pipe()
fcntl.fcntl(write, fcntl.F_SETFL, os.O_NONBLOCK)
child = subprocess.Popen([sys.argv[1], '--input-type=module', '--eval', sys.argv[2]], stdout=write, stderr=subprocess.PIPE)
os.close(write)
# The program says when it has given everything, of which the pipe takes 64 KiB.
child.stderr.readline()
size = 0
while True:
    chunk = os.read(read, 65536)
    if not chunk: break
    size += len(chunk)
print(size, child.wait())`
  const writes = `
    import { BackgroundWriter } from '${url}'
    const writer = new BackgroundWriter(1)
    for (let i = 0; i < 300; i++) writer.write('x'.repeat(999) + '\\n')
    process.stderr.write('given\\n')
    await writer.close()`
  const ended = spawnSync('python3', ['-c', program, process.execPath, writes], { encoding: 'utf8' })
  expect([ended.stderr, ended.stdout]).toEqual(['', '300000 0\n'])
})

it('does not mix lines with those of another process that writes into the same pipe', async () => {
  const program = `
    import { BackgroundWriter } from '${url}'
    const writer = new BackgroundWriter(1)
    for (let i = 0; i < 3000; i++) writer.write(process.argv.at(-1).repeat(i % 300) + '\\n')
    process.stderr.write('given ')
    await writer.close()`
  const command = `"$0" --input-type=module --eval "$1" a & "$0" --input-type=module --eval "$1" b & wait`
  const both = spawn('sh', ['-c', command, process.execPath, program], { stdio: ['ignore', 'pipe', 'pipe'] })
  // Nobody reads until both have more than the pipe takes.
  let given = ''
  while (given !== 'given given ') given += (await once(both.stderr, 'data'))[0]
  const text = await streamText(both.stdout)
  const lines = text.trimEnd().split('\n')
  expect(lines).toHaveLength(6000)
  expect(lines.filter((line) => /ab|ba/.test(line))).toEqual([])
})
