import { describe, expect, it, test } from 'vitest'
import { configOfValue } from '../src/config/loaded.ts'
import { planConfig } from '../src/config/plan.ts'
import { configSchema } from '../src/config/schema.ts'
import { subscribeSchema } from '../src/config/schema-sources.ts'
import { siblingsSchema } from '../src/config/schema-step.ts'
import { type Config, createRegistry, defineStep, SluiceError, z } from '../src/index.ts'
import { createJsonSchema } from '../src/registry/json-schema.ts'
import { indexPage, partPages } from '../src/registry/reference.ts'
import { runExample, stepSuite } from '../src/testing/index.ts'
import { Peer } from './support/peer.ts'
import { start } from './support/server.ts'

/** The step of CONTRIBUTING.md. Everything below comes from this one value and one `add`. */
const upper = defineStep({
  name: 'upper',
  summary: 'Writes a text in capital letters.',
  options: z.strictObject({
    first: z.boolean().default(false).describe('Only the first letter. Default false.'),
  }),
  examples: [
    { title: 'A whole text', config: { upper: {} }, given: ['ab c'], gives: ['AB C'] },
    { title: 'The first letter', config: { upper: { first: true } }, given: ['ab c'], gives: ['Ab c'] },
  ],
  create: ({ first }) => ({
    run(message) {
      const { msg } = message
      if (typeof msg !== 'string') throw new SluiceError('step_failed', 'upper needs a text')
      return message.with(first ? msg.slice(0, 1).toUpperCase() + msg.slice(1) : msg.toUpperCase())
    },
  }),
})

const registry = createRegistry().clone().add(upper)

/** The types of a configuration know the built-in parts only. */
function configWith(step: Readonly<Record<string, unknown>>): Config {
  const config = { listen: { shout: { host: '127.0.0.1', port: 0, dataflow: [step, { reply: '${msg}' }] } } }
  return config as unknown as Config
}

function problemsOf(step: Readonly<Record<string, unknown>>) {
  return planConfig(configOfValue(configWith(step), '.'), registry, {}).problems
}

describe('a step that is added to a registry with one line', () => {
  it('is validated like any other', () => {
    expect(problemsOf({ upper: {} })).toEqual([])
    expect(problemsOf({ upper: { frist: true } })).toMatchObject([
      { code: 'KEY_UNKNOWN', hint: expect.stringContaining('first') },
    ])
    expect(problemsOf({ upper: { first: 'yes' } })).toMatchObject([{ code: 'VALUE_INVALID' }])
    expect(problemsOf({ uper: {} })).toMatchObject([{ code: 'STEP_UNKNOWN', hint: expect.stringContaining('upper') }])
  })

  it('is completed and explained by editors', () => {
    const schema = JSON.stringify(
      createJsonSchema(registry, { config: configSchema, siblings: siblingsSchema, subscribe: subscribeSchema }),
    )
    expect(schema).toContain('"upper"')
    expect(schema).toContain('Writes a text in capital letters.')
    expect(schema).toContain('Only the first letter. Default false.')
  })

  it('has a page in the reference and a line in its list', () => {
    const page = partPages(registry).find(({ path }) => path === 'steps/upper.md')!
    expect(page.text).toContain('| `first` | `true` or `false` | `false` | Only the first letter. Default false. |')
    expect(page.text).toContain('- goes on: `"Ab c"`')
    expect(indexPage(registry, []).text).toContain('| [`upper`](steps/upper.md) | Writes a text in capital letters. |')
    expect(registry.names('step')).toContain('upper')
  })

  it('works in a running server', async () => {
    await using running = await start(configWith({ upper: { first: true } }), { registry })
    await using client = await Peer.connect(running.port())
    await client.send('hello\n').hear('Hello\n')
  })

  it('is unknown to other registries', () => {
    expect(createRegistry().names('step')).not.toContain('upper')
  })

  describe('passes the conformance suite', () => {
    const run = (example: Parameters<typeof runExample>[0]) => runExample(example, registry)
    test.each(stepSuite(upper, { runExample: run }))('$name', ({ run }) => run())
  })
})
