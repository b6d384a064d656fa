import { describe, expect, it } from 'vitest'
import { defineFraming, defineSink, defineStep } from '../contracts/define.ts'
import { closeReasons, failures } from '../contracts/errors.ts'
import { bytes, duration, expr, size, z } from '../contracts/schema.ts'
import { expressionFunctions } from '../expression/reference.ts'
import { scopeVariables } from '../expression/scope.ts'
import { createRegistry } from './builtins.ts'
import { describeOptions } from './options-schema.ts'
import { optionsTable } from './options-table.ts'
import { configPage, errorsPage, expressionsPage, indexPage, partPages } from './reference.ts'
import { Registry } from './registry.ts'

function unused(): never {
  throw new Error('not created in this test')
}

function pageOf(definition: Parameters<Registry['add']>[0]): string {
  const [page] = partPages(new Registry().add(definition))
  return page!.text
}

describe('the options table', () => {
  it('shows type, default and meaning, and options of options', () => {
    const options = z.strictObject({
      end: bytes().default(Buffer.from('\r\n')).describe('What ends it.'),
      wait: duration({ off: true }).default(0).describe('How long.'),
      limit: size().default(65_536).describe('How much.'),
      count: z.int().min(1).max(8).describe('How many | at most.'),
      retry: z
        .strictObject({ for: duration().prefault('10s').describe('So long.') })
        .prefault({})
        .describe('Again.'),
      columns: z.record(z.string(), expr()).optional().describe('Values.'),
      either: z.union([z.literal('all'), z.strictObject({ only: z.string().describe('Which.') })]).describe('Whom.'),
      hook: z.custom<() => void>((value) => typeof value === 'function').optional(),
    })
    expect(optionsTable(describeOptions(options)).split('\n')).toEqual([
      '| option | type | default | meaning |',
      '|---|---|---|---|',
      '| `end` | bytes | `\\r\\n` | What ends it. |',
      '| `wait` | duration or `off` | `off` | How long. |',
      '| `limit` | size | `64KiB` | How much. |',
      '| `count` | whole number from 1 to 8 | required | How many \\| at most. |',
      '| `retry` | options |  | Again. |',
      '| `retry.for` | duration | `10s` | So long. |',
      '| `columns` | mapping of names to expressions |  | Values. |',
      '| `either` | `"all"` or `{ only }` | required | Whom. |',
      '| `either.only` | text | required | Which. |',
    ])
  })

  it('shows what a part takes that has no named options', () => {
    expect(optionsTable(describeOptions(expr().describe('A value.')))).toContain('| expression | A value. |')
    expect(optionsTable(describeOptions(z.strictObject({})))).toBe('')
  })
})

describe('a page of a part', () => {
  it('of a framing shows what examples give', () => {
    const text = pageOf(
      defineFraming({
        name: 'delimiter',
        summary: 'Ends a frame.',
        options: z.strictObject({ any: bytes().describe('The end.') }),
        short: 'any',
        examples: [{ title: 'A bar', options: '|', bytes: 'a||', frames: ['a', ''] }],
        create: unused,
      }),
    )
    expect(text).toContain('Short form: `delimiter: …` means `delimiter: { any: … }`.')
    expect(text).toContain('```yaml\nframing:\n  delimiter: "|"\n```')
    expect(text).toContain('From the bytes `a||` come 2 frames:\n\n- `a`\n- (nothing)')
  })

  it('of a step shows what goes in and what comes out', () => {
    const text = pageOf(
      defineStep({
        name: 'double',
        summary: 'Doubles.',
        options: z.strictObject({}),
        examples: [{ title: 'Twice', config: { double: {} }, given: [1, Buffer.from([2])], gives: [], replies: ['`'] }],
        drops: true,
        answers: true,
        create: unused,
      }),
    )
    expect(text).toContain('- given: `1`, `b"\\x02"`\n- goes on: nothing\n- answered: `` "`" ``')
    expect(text).toContain('`else:` beside it')
    expect(text).toContain('Needs the connection')
    expect(text).toContain('## Options\n\nNone.')
  })

  it('of a sink says what its confirmation is worth, for each example', () => {
    const text = pageOf(
      defineSink({
        name: 'disk',
        summary: 'Writes.',
        options: z.strictObject({ path: z.string(), sync: z.boolean().default(false) }),
        short: 'path',
        examples: [
          { title: 'Fast', config: { disk: 'a' } },
          { title: 'Safe', config: { disk: { path: 'a', sync: true } } },
        ],
        confirms: ({ sync }) => (sync ? 'durable' : 'os'),
        finished: 'the bytes are written',
        create: unused,
      }),
    )
    expect(text).toContain('A message is delivered when the bytes are written.')
    expect(text).toMatch(/\*\*durable\*\* \(.*\), or, with other options, \*\*os\*\* \(/)
    expect(text).toMatch(/### Fast[^#]*worth \*\*os\*\*/)
    expect(text).toMatch(/### Safe[^#]*worth \*\*durable\*\*/)
  })

  it('exists for every built-in part, with every option described', () => {
    const registry = createRegistry()
    const pages = partPages(registry)
    expect(new Set(pages.map(({ path }) => path)).size).toBe(pages.length)
    expect(pages.map(({ path }) => path)).toContain('framings/length-prefix.md')
    for (const { path, text } of pages) {
      expect(text.startsWith('<!-- Generated'), path).toBe(true)
      expect(text, path).not.toMatch(/^\|.*(undefined|any value)|\[object Object\]/m)
      expect(text, `${path} has an option without a description`).not.toMatch(/^\| `[^`]+` \|.*\| {2}\|$/m)
    }
    const index = indexPage(registry, []).text
    for (const { path } of pages) expect(index).toContain(`(${path})`)
  })
})

describe('the other pages', () => {
  it('list every code', () => {
    const { text } = errorsPage({ KEY_UNKNOWN: 'There is no such option.' })
    for (const code of [...Object.keys(failures), ...Object.keys(closeReasons), 'KEY_UNKNOWN']) {
      expect(text).toContain(`| \`${code}\` | `)
    }
  })

  it('list every name and function of expressions', () => {
    const { text } = expressionsPage()
    for (const { name, signature } of expressionFunctions) {
      expect(signature).toContain(name)
      expect(text).toContain(`| \`${signature}\` | `)
    }
    for (const name of Object.keys(scopeVariables)) expect(text).toContain(`| \`${name}\` | `)
    expect(text).toContain('| `lastSeen` | ')
  })

  it('show the configuration outside the parts', () => {
    const listen = z.strictObject({ port: z.int().describe('Where.') })
    const config = z.strictObject({ listen: z.record(z.string(), listen).describe('Endpoints.') })
    const siblings = z.strictObject({ id: z.string().optional().describe('A name.') })
    const subscribe = z.strictObject({ mine: z.boolean().optional().describe('Beside.') })
    const { text } = configPage({ config, siblings, subscribe })
    expect(text).toContain('| `listen.NAME.port` | whole number | required | Where. |')
    expect(text).toContain('| `id` | text |  | A name. |')
    expect(text).toContain('| `mine` | `true` or `false` |  | Beside. |')
  })
})
