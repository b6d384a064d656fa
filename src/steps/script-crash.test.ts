import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest'
import { Command } from '../../test/support/command.ts'
import type { Step } from '../contracts/step.ts'
import { createMessages, createTestContext } from '../testing/part-context.ts'
import { runStep } from '../testing/run-step.ts'
import { script } from './script.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-crash-'))
const open: Step[] = []

afterEach(async () => {
  vi.unstubAllEnvs()
  for (const step of open.splice(0)) await step.close?.()
})
afterAll(() => rmSync(folder, { recursive: true }))

let files = 0

function write(source: string): string {
  const file = join(folder, `crash-${++files}.mjs`)
  writeFileSync(file, source)
  return file
}

async function create(source: string, options: object, heard: string[] = []): Promise<Step> {
  const context = createTestContext({
    resolvePath: (path) => resolve(folder, path),
    log: (level, text) => void heard.push(`${level}: ${text}`),
  })
  const step = await script.create(script.options.parse({ file: write(source), ...options }), context)
  open.push(step)
  return step
}

/** A program that runs the step for some messages and prints what came of them. It stands for the server. */
function program(source: string, messages: readonly string[], options: object): string {
  const part = (path: string) => JSON.stringify(new URL(path, import.meta.url).href)
  return write(`
    import { createMessages } from ${part('../testing/part-context.ts')}
    import { runStep } from ${part('../testing/run-step.ts')}
    import { script } from ${part('./script.ts')}
    const options = script.options.parse(${JSON.stringify({ file: write(source), ...options })})
    const step = await script.create(options, { resolvePath: (path) => path, log() {} })
    const { gives, failures } = await runStep(step, createMessages(${JSON.stringify(messages)}))
    console.log(JSON.stringify({ gives, failed: failures.map(({ error }) => [error.code, error.message]) }))
    await step.close()
  `)
}

const FILL = 'const heap = []; for (;;) heap.push(new Array(100_000).fill(heap.length + 0.5))'

describe('a process of its own', () => {
  const ends = [
    ['process.abort', 'process.abort()', 'SIGABRT'],
    ['kill -9', "process.kill(process.pid, 'SIGKILL'); for (;;);", 'SIGKILL'],
    ['a native module that crashes', "process.kill(process.pid, 'SIGSEGV'); for (;;);", 'SIGSEGV'],
    ['a full heap', FILL, 'SIGABRT'],
  ] as const

  test.each(ends)('%s fails the message that causes it, and no other', async (_, act, signal) => {
    // A small heap is full sooner.
    vi.stubEnv('NODE_OPTIONS', '--max-old-space-size=40')
    const heard: string[] = []
    const step = await create(
      `export default (msg) => { if (msg === 'poison') { console.log('now'); ${act} } return msg + '!' }`,
      { isolate: 'process', timeout: '30s' },
      heard,
    )
    const run = await runStep(step, createMessages(['a', 'poison', 'b']))
    expect(run.gives).toEqual(['a!', 'b!'])
    expect(run.failures).toMatchObject([{ message: { msg: 'poison' }, error: { code: 'process_died' } }])
    expect(run.failures[0]!.error.message).toMatch(
      new RegExp(`^crash-\\d+\\.mjs failed: it ended its process by ${signal}$`),
    )
    expect((await runStep(step, createMessages(['c']))).gives).toEqual(['c!'])
    // Once with the others, once alone.
    expect(heard.filter((line) => line === 'info: now')).toHaveLength(2)
    if (act === FILL) expect(heard.join()).toContain('JavaScript heap out of memory')
  })

  test('other connections go on while one has poison', async () => {
    const step = await create(`export default (msg) => { if (msg === 'poison') process.abort(); return msg }`, {
      isolate: 'process',
    })
    const poisoned = Array.from({ length: 4 }, () => runStep(step, createMessages(['poison'])))
    const others = Array.from({ length: 4 }, (_, i) => runStep(step, createMessages([i])))
    expect((await Promise.all(others)).map(({ gives }) => gives)).toEqual([[0], [1], [2], [3]])
    for (const { failures } of await Promise.all(poisoned)) expect(failures).toHaveLength(1)
  })

  test('is not ended by signals that mean the server', async () => {
    const step = await create('export default (msg) => process.pid', { isolate: 'process' })
    const [pid] = (await runStep(step, createMessages([1]))).gives as [number]
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(pid, signal)
    expect((await runStep(step, createMessages([2]))).gives).toEqual([pid])
  })

  test('that dies while it has nothing to do is replaced', async () => {
    const step = await create('export default (msg) => process.pid', { isolate: 'process' })
    const [pid] = (await runStep(step, createMessages([1]))).gives as [number]
    process.kill(pid, 'SIGKILL')
    await untilGone(pid)
    const run = await runStep(step, createMessages([2, 3]))
    expect(run.failures).toEqual([])
    expect(run.gives[0]).not.toBe(pid)
  })

  test.each([
    ['runs in a loop', 'for (;;);'],
    ['has nothing to do', ''],
  ])('ends when the server is killed, also when it %s', async (_, act) => {
    const pidFile = join(folder, `pid-${files}`)
    const source = `import { writeFileSync } from 'node:fs'
      export default (msg) => { writeFileSync(${JSON.stringify(pidFile)}, String(process.pid)); console.error('up'); ${act} return msg }`
    const waits = `${program(source, ['a'], { isolate: 'process', timeout: '1h' })}`
    writeFileSync(
      waits,
      readFileSync(waits, 'utf8')
        .replace('log() {}', 'log: console.log')
        .replace('await step.close()', 'setInterval(() => {}, 1000)'),
    )
    await using server = new Command(process.execPath, [waits])
    await server.hear('up')
    const pid = Number(readFileSync(pidFile, 'utf8'))
    server.signal('SIGKILL')
    await server.finished
    await untilGone(pid)
  })
})

describe('a worker thread', () => {
  test('a full heap fails the message that causes it, and the server lives', async () => {
    const source = `export default (msg) => { if (msg === 'poison') { ${FILL} } return msg + '!' }`
    const file = program(source, ['a', 'poison', 'b'], { timeout: '30s' })
    await using server = new Command(process.execPath, ['--max-old-space-size=80', file])
    const { stdout, code } = await server.finished
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual({
      gives: ['a!', 'b!'],
      failed: [['script_failed', expect.stringContaining('JS heap out of memory')]],
    })
  })

  test('a loop that V8 has compiled to run fast ends with its thread', async () => {
    const source = `
      const script = (msg) => { while (msg.startsWith('loop')); return msg }
      for (let i = 0; i < 2_000_000; i++) script('a' + i)
      export default script`
    await using server = new Command(process.execPath, [program(source, ['a', 'loop', 'b'], { timeout: '500ms' })])
    // It ends by itself: a thread that goes on would hold the process.
    const { stdout, code } = await server.finished
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ gives: ['a', 'b'], failed: [['step_timeout', expect.any(String)]] })
  })

  test('cannot survive the end of its process: that is what isolate: process is for', async () => {
    const source = `export default (msg) => { process.kill(process.pid, 'SIGKILL'); for (;;); }`
    await using threaded = new Command(process.execPath, [program(source, ['a'], {})])
    expect(await threaded.finished).toMatchObject({ code: 'SIGKILL', stdout: '' })
    await using isolated = new Command(process.execPath, [program(source, ['a'], { isolate: 'process' })])
    const { code, stdout } = await isolated.finished
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ failed: [['process_died', expect.any(String)]] })
  })
})

test.each(['thread', 'process'])(
  'what ends its %s while it is loaded is a script that cannot be loaded',
  async (isolate) => {
    await expect(create('process.exit(2)', { isolate })).rejects.toMatchObject({
      code: 'script_failed',
      message: expect.stringMatching(/^crash-\d+\.mjs cannot be loaded: .*ended .* with code 2$/),
    })
  },
)

test('inline and a process of its own exclude each other', () => {
  const context = { resolvePath: (path: string) => path } as Parameters<NonNullable<typeof script.check>>[1]
  const options = script.options.parse({ file: 'a.ts', inline: true, isolate: 'process' })
  expect(script.check!(options, context)).toMatchObject([{ path: ['isolate'], hint: 'Leave one of them out.' }])
})

/** Until no process has this number; one that has ended and that nobody has waited for does not count as one. */
async function untilGone(pid: number): Promise<void> {
  for (;;) {
    try {
      if (/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) return
    } catch {
      return
    }
    await sleep(20)
  }
}
