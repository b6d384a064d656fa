import { clientFields } from '../contracts/client.ts'
import type {
  FormatDefinition,
  FramingDefinition,
  PartDefinition,
  SinkDefinition,
  StepDefinition,
  SubscriptionDefinition,
} from '../contracts/define.ts'
import { closeReasons, failures } from '../contracts/errors.ts'
import { eventDescriptions } from '../contracts/events.ts'
import { type Confirmation, confirmations } from '../contracts/sink.ts'
import { type Guarantee, guarantees } from '../contracts/subscription.ts'
import { expressionFunctions } from '../expression/reference.ts'
import { scopeVariables } from '../expression/scope.ts'
import { metricTable } from '../observe/metric-table.ts'
import type { ConfigSchemas } from './json-schema.ts'
import { code, createPage, inlineValue, type Page, table, yamlBlock } from './markdown.ts'
import { describeOptions } from './options-schema.ts'
import { optionsTable } from './options-table.ts'
import { type PartKind, partKinds, type Registry } from './registry.ts'

/** A page for each part of a registry, from its definition. */
export function partPages(registry: Registry): Page[] {
  return partKinds.flatMap((kind) => registry.list(kind).map(partPage))
}

/** The list of all parts and of the other pages. */
export function indexPage(registry: Registry, others: readonly { page: Page; about: string }[]): Page {
  const sections = partKinds.flatMap((kind) => [
    `## ${kindTitles[kind]}`,
    table(
      ['name', 'what it does'],
      registry.list(kind).map(({ name, summary }) => [`[${code(name)}](${kind}s/${name}.md)`, summary]),
    ),
  ])
  const list = others.map(({ page, about }) => `- [${page.path.replace('.md', '')}](${page.path}): ${about}`)
  return createPage('README.md', 'Reference', [list.join('\n'), ...sections])
}

/**
 * Everything that has a code.
 * @param mistakes the codes of mistakes in a configuration
 */
export function errorsPage(mistakes: Readonly<Record<string, string>>): Page {
  return createPage('errors.md', 'Errors and reasons', [
    'Codes are stable: they keep their meaning within a major version.',
    '## While the server runs',
    'The code of a failed message, frame or endpoint: `error.code` in an `onError`, `reason` in the log and in metrics.',
    codeTable('code', failures),
    '## Why a connection was closed',
    'Every closed connection leaves one log line and one count with one of these reasons.',
    codeTable('reason', closeReasons),
    '## Mistakes in a configuration',
    '`sluice check` reports them with file, line and column.',
    codeTable('code', mistakes),
  ])
}

/** What an expression may use. */
export function expressionsPage(): Page {
  const groups = Map.groupBy(expressionFunctions, ({ group }) => group)
  const sections = [...groups].flatMap(([group, functions]) => [
    `### ${group[0]!.toUpperCase()}${group.slice(1)}`,
    table(
      ['function', 'what it gives', 'example'],
      functions.map(({ signature, summary, example, result }) => [
        code(signature),
        summary,
        `${code(example)} is ${code(result)}`,
      ]),
    ),
  ])
  return createPage('expressions.md', 'Expressions', [
    '## Names in scope',
    codeTable('name', scopeVariables),
    '### Fields of `client`',
    codeTable('field', clientFields),
    '## Functions',
    'A function whose first argument is a value may also be written behind it: `trim(msg.name)` is `msg.name.trim()`.',
    ...sections,
  ])
}

/** All options of a configuration outside its parts. */
export function configPage({ config, siblings, subscribe }: ConfigSchemas): Page {
  return createPage('config.md', 'Configuration', [
    'Steps, sinks, framings, formats and subscriptions have [pages of their own](README.md).',
    optionsTable(describeOptions(config)),
    '## Beside every step',
    'A step is a mapping with one key that names it. These keys may stand beside that one.',
    optionsTable(describeOptions(siblings)),
    '## Beside every subscription',
    'An entry of `subscribe` is a mapping with one key that names the subscription. These keys may stand beside that one.',
    optionsTable(describeOptions(subscribe)),
  ])
}

/** The events that a program may subscribe to. */
export function eventsPage(): Page {
  return createPage('events.md', 'Events', [
    'A program that embeds the server subscribes with `server.events.on(name, listener)`. The fields of each event are in its type, `EventMap`.',
    codeTable('event', eventDescriptions),
  ])
}

/** What `/metrics` of the admin server gives. */
export function metricsPage(): Page {
  return createPage('metrics.md', 'Metrics', [
    'With `admin:` in the configuration, `/metrics` gives these in the text format of Prometheus. A counter that has a `reason` is absent until the reason has occurred; the reasons are on the page [Errors and reasons](errors.md).',
    table(
      ['metric', 'kind', 'labels', 'meaning'],
      Object.entries(metricTable).map(([name, { type, labels, help }]) => [
        code(name),
        type,
        labels.map(code).join(', '),
        help,
      ]),
    ),
  ])
}

const kindTitles: Readonly<Record<PartKind, string>> = {
  framing: 'Framings',
  format: 'Formats',
  step: 'Steps',
  sink: 'Sinks',
  subscription: 'Subscriptions',
}

function partPage(definition: PartDefinition): Page {
  const { kind, name, summary, details, options } = definition
  return createPage(`${kind}s/${name}.md`, name, [
    summary,
    `A ${kind}. [All parts](../README.md)`,
    ...facts(definition),
    details ?? '',
    '## Options',
    shortForm(definition),
    optionsTable(describeOptions(options)) || 'None.',
    ...(definition.examples.length > 0 ? ['## Examples', ...examples(definition)] : []),
  ])
}

/** What the definition says besides its options. */
function facts(definition: PartDefinition): string[] {
  if (definition.kind === 'sink') {
    return [`A message is delivered when ${definition.finished}. What that is worth: ${worths(definition)}.`]
  }
  if (definition.kind === 'subscription') {
    return [`How often a message goes through the dataflow: ${guaranteesOf(definition)}.`]
  }
  if (definition.kind !== 'step') return []
  return [
    definition.answers ? 'Needs the connection that the message came from.' : '',
    definition.drops ? 'May end messages on purpose; `else:` beside it takes a dataflow for these.' : '',
  ]
}

/** Every guarantee that the examples have. */
function guaranteesOf(subscription: SubscriptionDefinition): string {
  const found = new Set(
    subscription.examples.map(({ config }) =>
      subscription.guarantees(subscription.options.parse(spellOut(subscription, config[subscription.name]))),
    ),
  )
  const order = (Object.keys(guarantees) as Guarantee[]).filter((one) => found.has(one))
  return order.map((one) => `**${one}** (${guarantees[one]})`).join(', or, with other options, ')
}

/** Every worth that the confirmations of the examples have. */
function worths(sink: SinkDefinition): string {
  const found = new Set(sink.examples.flatMap(({ config }) => worthOf(sink, config[sink.name]) ?? []))
  const order = Object.keys(confirmations) as Confirmation[]
  const words = order.filter((worth) => found.has(worth)).map((worth) => `**${worth}** (${confirmations[worth]})`)
  return words.length === 0 ? 'it depends on the options' : words.join(', or, with other options, ')
}

function worthOf(sink: SinkDefinition, written: unknown): Confirmation | undefined {
  const options = sink.options.safeParse(spellOut(sink, written))
  return options.success ? sink.confirms(options.data) : undefined
}

/** The options that a short form stands for. */
function spellOut({ short }: PartDefinition, written: unknown): unknown {
  const isShort = typeof written !== 'object' || Array.isArray(written)
  return short !== undefined && isShort && written !== undefined ? { [short]: written } : (written ?? {})
}

function shortForm({ name, short }: PartDefinition): string {
  return short === undefined ? '' : `Short form: ${code(`${name}: …`)} means ${code(`${name}: { ${short}: … }`)}.`
}

function examples(definition: PartDefinition): string[] {
  switch (definition.kind) {
    case 'framing':
      return definition.examples.flatMap((example) => framingExample(definition, example))
    case 'format':
      return definition.examples.flatMap((example) => formatExample(definition, example))
    case 'step':
      return definition.examples.flatMap(stepExample)
    case 'sink':
      return definition.examples.flatMap((example) => sinkExample(definition, example))
    case 'subscription':
      return definition.examples.flatMap((example) => subscriptionExample(definition, example))
  }
}

type ExampleOf<Definition extends PartDefinition> = Definition['examples'][number]

function framingExample({ name }: FramingDefinition, { title, options, bytes, frames }: ExampleOf<FramingDefinition>) {
  const list = frames.map((frame) => `- ${code(frame)}`).join('\n')
  return [
    `### ${title}`,
    yamlBlock({ framing: options === undefined ? name : { [name]: options } }),
    `From the bytes ${code(bytes)} ${frames.length === 1 ? 'comes this frame' : `come ${frames.length} frames`}:`,
    list,
  ]
}

function formatExample({ name }: FormatDefinition, example: ExampleOf<FormatDefinition>) {
  const { title, options, bytes, value, prints, files } = example
  return [
    `### ${title}`,
    yamlBlock({ format: options === undefined ? name : { [name]: options } }),
    ...filesBeside(files),
    `The frame ${code(bytes)} has the value ${inlineValue(value)}.${prints === undefined ? '' : ` The value is written as ${code(prints)}.`}`,
  ]
}

function stepExample({ title, endpoint, config, given, gives, replies, ...beside }: ExampleOf<StepDefinition>) {
  const { files, listen, dataflows } = beside
  const values = (list: readonly unknown[]) => (list.length === 0 ? 'nothing' : list.map(inlineValue).join(', '))
  return [
    `### ${title}`,
    yamlBlock({ ...endpoint, dataflow: [config], ...(listen && { listen }), ...(dataflows && { dataflows }) }),
    ...filesBeside(files),
    [
      `- given: ${values(given)}`,
      `- goes on: ${values(gives)}`,
      ...(replies === undefined ? [] : [`- answered: ${values(replies)}`]),
    ].join('\n'),
  ]
}

/** Files that lie beside the configuration of an example. */
function filesBeside(files: Readonly<Record<string, string>> = {}): string[] {
  return Object.entries(files).flatMap(([name, content]) => [
    `${code(name)}:`,
    `\`\`\`${name.endsWith('.ts') ? 'ts' : ''}\n${content.trimEnd()}\n\`\`\``,
  ])
}

function sinkExample(sink: SinkDefinition, { title, config }: ExampleOf<SinkDefinition>) {
  const worth = worthOf(sink, config[sink.name])
  return [
    `### ${title}`,
    yamlBlock({ dataflow: [config] }),
    worth === undefined ? '' : `The confirmation is worth **${worth}** (${confirmations[worth]}).`,
  ]
}

function subscriptionExample(
  subscription: SubscriptionDefinition,
  { title, config }: ExampleOf<SubscriptionDefinition>,
) {
  const options = subscription.options.parse(spellOut(subscription, config[subscription.name]))
  return [
    `### ${title}`,
    yamlBlock({ subscribe: { NAME: config } }),
    `Each message goes through the dataflow **${subscription.guarantees(options)}**: ${subscription.acknowledges(options)}.`,
  ]
}

function codeTable(head: string, entries: Readonly<Record<string, string>>): string {
  return table(
    [head, 'meaning'],
    Object.entries(entries).map(([name, meaning]) => [code(name), meaning]),
  )
}
