import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { Batch } from '../contracts/batch.ts'
import { type Client, clientFields } from '../contracts/client.ts'
import type { Failures } from '../contracts/dataflow.ts'
import { defineStep } from '../contracts/define.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import { duration, z } from '../contracts/schema.ts'
import type { Step, StepResult } from '../contracts/step.ts'
import { describeThrown, loadScript, type ScriptContext } from './script-module.ts'
import { ScriptPool } from './script-pool.ts'
import { startProcess } from './script-process.ts'
import { startThread } from './script-thread.ts'
import { reviveBytes } from './script-values.ts'
import type { ScriptJob, ScriptResult } from './script-worker.ts'

/** Runs a function of the user. */
export const script = defineStep({
  name: 'script',
  summary: 'Gives a message the value that a function in a TypeScript or JavaScript file returns.',
  details: `The file exports a function: \`export default (msg, context) => value\`. It may be async. \`undefined\` ends the message here; what it throws fails the message. \`context\` has \`raw\`, \`client\`, \`event\`, \`received\`, \`endpoint\`, \`topic\`, \`state\` and \`error\`.

The function runs in a worker thread, a batch at a time, on copies of the values: it cannot hold up the server. When a batch takes longer than \`timeout\`, or the thread ends, each of its messages is tried again alone, and the one to blame fails. So the function may see a message twice. What it writes with \`console\` becomes lines of the log.

A thread protects the server from what throws, loops, calls \`process.exit\` or fills the JavaScript heap. It cannot protect it from what ends a process: a native module that crashes, a signal, memory outside of the heap that is exhausted. For that there is \`isolate: process\`: the function then runs in one or two processes of its own, by the same rules, and a message that ends its process fails with \`process_died\`. Each takes some 40 MB of memory; it is about as fast as a thread.

With \`inline: true\` it runs on the server's own thread: nothing is copied and nothing protects the server, and \`msg\` must not be changed but replaced.

Node removes the types of a TypeScript file; it does not check them.`,
  options: z.strictObject({
    file: z.string().min(1).describe("Path of the file. A relative one starts at the configuration file's folder."),
    export: z.string().min(1).default('default').describe('Name of the export to use. Default: the default export.'),
    timeout: duration()
      .default(5000)
      .describe('How long a batch may take, such as 500ms. Default 5s. Not with inline.'),
    isolate: z
      .enum(['thread', 'process'])
      .default('thread')
      .describe(
        'Where it runs: `process` keeps the server alive whatever the script does. Default thread. Not with inline.',
      ),
    inline: z.boolean().default(false).describe("Run on the server's own thread, unprotected. Default false."),
  }),
  short: 'file',
  examples: [
    {
      title: 'What an expression cannot say',
      config: { script: './convert.ts' },
      files: {
        'convert.ts': `interface Reading { temps: number[] }

export default (msg: Reading) => {
  if (msg.temps.length === 0) return undefined // ends here
  return { spread: Math.max(...msg.temps) - Math.min(...msg.temps) }
}
`,
      },
      given: [{ temps: [3, 8, 5] }, { temps: [] }],
      gives: [{ spread: 5 }],
    },
  ],
  drops: true,
  runsUserCode: ({ inline }) => inline,
  check({ file, inline, isolate }, { resolvePath }) {
    if (inline && isolate === 'process') {
      const message = 'inline runs a script on the thread of the server, and isolate: process in another process'
      return [{ path: ['isolate'], message, hint: 'Leave one of them out.' }]
    }
    const absolute = resolvePath(file)
    if (existsSync(absolute)) return []
    return [{ path: ['file'], message: `the script ${file} does not exist`, hint: `looked for ${absolute}` }]
  },
  async create(options, context): Promise<Step> {
    const file = context.resolvePath(options.file)
    if (options.inline) return createInline(file, options.export)
    const start = options.isolate === 'process' ? startProcess : startThread
    const pool = new ScriptPool(start, { file, exportName: options.export }, options.timeout, context.log)
    await pool.start()
    return {
      runBatch: (batch, failures) => runInPool(pool, batch, basename(file), failures),
      close: () => pool.close(),
    }
  },
})

async function createInline(file: string, exportName: string): Promise<Step> {
  // A thread loads a module once for each URL; the time of the last change makes a reload see what has changed.
  const changed = await stat(file)
    .then(({ mtimeMs }) => `changed=${mtimeMs}`)
    .catch(() => '')
  const run = await loadScript(file, exportName, changed)
  const fail = (thrown: unknown): never => {
    throw scriptFailed(basename(file), describeThrown(thrown, file))
  }
  return {
    run(message) {
      let value: unknown
      try {
        value = run(message.msg, inlineContext(message))
      } catch (thrown) {
        fail(thrown)
      }
      if (value instanceof Promise) return value.then((settled) => resultOf(message, settled), fail)
      return resultOf(message, value)
    },
  }
}

function inlineContext(message: Message): ScriptContext {
  const { raw, client, event, received, endpoint, state, error } = message
  return { raw, client, event, received, endpoint, topic: topicOf(message), state: Object.freeze({ ...state }), error }
}

function topicOf({ topic }: Message): string | null {
  return topic === '' ? null : topic
}

function resultOf(message: Message, value: unknown): StepResult {
  return value === undefined ? undefined : message.with(value)
}

async function runInPool(pool: ScriptPool, batch: Batch, name: string, failures: Failures): Promise<Batch> {
  const { messages } = batch
  const { signal } = failures
  const passed: Message[] = []
  const answer = await pool.run(createJob(messages), signal)
  if ('results' in answer) settle(messages, answer.results, name, passed, failures)
  else if (messages.length === 1) failures.add(messages[0]!, answer.broken)
  else {
    for (const message of messages) {
      if (signal?.aborted) break
      await runAlone(pool, message, name, passed, failures, signal)
    }
  }
  return Batch.of(passed)
}

/** One message of a batch that broke its thread or process. */
async function runAlone(
  pool: ScriptPool,
  message: Message,
  name: string,
  passed: Message[],
  failures: Failures,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    const answer = await pool.run(createJob([message]), signal)
    if ('results' in answer) settle([message], answer.results, name, passed, failures)
    else failures.add(message, answer.broken)
  } catch (thrown) {
    failures.add(message, toSluiceError(thrown, 'script_failed'))
  }
}

function settle(
  messages: readonly Message[],
  results: readonly ScriptResult[],
  name: string,
  passed: Message[],
  failures: Failures,
): void {
  for (const [i, message] of messages.entries()) {
    const result = results[i]!
    if ('failed' in result) failures.add(message, scriptFailed(name, result.failed))
    else if (result.value === undefined) failures.drop?.(message)
    else passed.push(message.with(reviveBytes(result.value)))
  }
}

function createJob(messages: readonly Message[]): ScriptJob {
  const { client, endpoint, state } = messages[0]!
  const items = messages.map((message) => {
    const { msg, raw, event, time, error } = message
    return { msg, raw, event, time, topic: topicOf(message), error }
  })
  return { client: copyClient(client), endpoint, state, items }
}

/** The client as plain data, whatever object the engine has. */
function copyClient(client: Client): Client {
  return Object.fromEntries(Object.keys(clientFields).map((key) => [key, client[key as keyof Client]])) as never
}

function scriptFailed(name: string, text: string): SluiceError {
  return new SluiceError('script_failed', `${name}: ${text}`)
}
