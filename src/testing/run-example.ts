import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readPlan } from '../config/read-plan.ts'
import { createServerFromPlan } from '../config/server.ts'
import type { StepExample } from '../contracts/define.ts'
import type { SluiceError } from '../contracts/errors.ts'
import type { Format } from '../contracts/format.ts'
import type { Sink } from '../contracts/sink.ts'
import { createRegistry } from '../registry/builtins.ts'
import type { Registry } from '../registry/registry.ts'
import { createMemoryTransport } from '../transports/memory.ts'
import { createTestClock } from './part-context.ts'
import { talk } from './run-case.ts'
import { deepFreeze, type ExampleOutcome, type ExampleRun } from './step-suite.ts'

const PORT = 9100

/**
 * Runs the example of a step with everything real but the network: a configuration file with the step in it, JSON in
 * lines over a connection in memory. The values are frozen, so a step that changes them fails.
 * @param registry where the step is known
 */
export async function runExample(example: ExampleRun, registry: Registry = createRegistry()): Promise<ExampleOutcome> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-example-'))
  try {
    for (const [name, content] of Object.entries(example.files ?? {})) await writeFile(join(folder, name), content)
    const file = join(folder, 'sluice.yaml')
    // JSON is YAML.
    await writeFile(file, JSON.stringify(configOf(example)))
    return await run(example, file, registry)
  } finally {
    await rm(folder, { recursive: true })
  }
}

function configOf({ config, endpoint, listen, dataflows }: StepExample): unknown {
  const dataflow = [config, { file: { path: 'gives' } }]
  return {
    listen: { example: { port: PORT, framing: 'line', format: 'json', ...endpoint, dataflow }, ...listen },
    ...(dataflows && { dataflows }),
  }
}

async function run(
  { given, atOnce = false, verbatim = false }: ExampleRun,
  file: string,
  registry: Registry,
): Promise<ExampleOutcome> {
  const { plan, report } = await readPlan(file, {}, { registry })
  if (plan === undefined) throw new Error(report)
  const [endpoint, ...others] = plan.endpoints
  const format = verbatim ? naming(given, endpoint!.formatIn) : freezing(endpoint!.formatIn)
  const gives: unknown[] = []
  const failures: { at: number; error: SluiceError }[] = []
  const transport = createMemoryTransport()
  const server = createServerFromPlan(
    { ...plan, endpoints: [{ ...endpoint!, formatIn: format, formatOut: format }, ...others] },
    {
      transport,
      clock: createTestClock(),
      deadLetters: { add: async ({ sequence }, error) => failures.push({ at: sequence - 1, error }) },
      replaceSink: () => collecting(gives),
    },
  )
  await server.start()
  try {
    const lines = given.map((value, i) => Buffer.from(`${JSON.stringify(verbatim ? i : value)}\n`))
    const reads = atOnce ? [Buffer.concat(lines)] : lines
    const answers = await talk(await transport.dial({ port: PORT, timeout: 1000 }), reads)
    return { gives, replies: answers.toString().split('\n').slice(0, -1), failures }
  } finally {
    await server.stop({ deadline: 1000 })
  }
}

/** The same format with values that nobody can change. */
function freezing(format: Format): Format {
  return { ...format, parse: (bytes, start, end) => deepFreeze(format.parse(bytes, start, end)) }
}

/** The same format, for frames that are the places of their values in a list. */
function naming(values: readonly unknown[], format: Format): Format {
  return { ...format, parse: (bytes, start, end) => values[format.parse(bytes, start, end) as number] }
}

function collecting(values: unknown[]): Sink {
  return {
    write(batch) {
      for (const { msg } of batch.messages) values.push(msg)
    },
    close() {},
  }
}
