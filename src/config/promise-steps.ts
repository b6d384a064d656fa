import type { SinkDefinition, StepDefinition } from '../contracts/define.ts'
import type { BufferOptions, DeliveryOptions } from '../contracts/delivery.ts'
import { confirmations } from '../contracts/sink.ts'
import { formatDuration, formatSize } from '../util/units.ts'
import type { StepPlan } from './planned.ts'
import { contentOf, isFunctionIn, isTrueFor, type NestedSteps, nestedIn, sourceOf, targetOf } from './step-words.ts'

/** What stands before and behind a step, as far as it decides what an answer there is worth. */
export interface Place {
  /** What has certainly happened to the message. */
  readonly after: readonly string[]
  /** The first sink that is still to come. */
  readonly before: string | undefined
  /** The step that holds answers back until those behind it have finished. */
  readonly heldBy: string | undefined
  /** The path is for messages that go no further, or for none: an answer in it acknowledges nothing. */
  readonly isAside: boolean
}

/** The way of every message. */
export const MAIN: Place = { after: [], before: undefined, heldBy: undefined, isAside: false }
/** A way for messages that go no further, or for none. */
export const ASIDE: Place = { ...MAIN, isAside: true }

/** Steps under a heading; nothing when there are none. */
export function pathLines(title: string, steps: readonly StepPlan[], place: Place): string[] {
  if (steps.length === 0) return []
  const lines = stepsLines(steps, place)
  return lines.length === 0
    ? [`${title}: ${steps.map(({ name }) => name).join(', ')}`]
    : [`${title}:`, ...indent(lines)]
}

/** What becomes of a message in some steps. */
export function stepsLines(steps: readonly StepPlan[], place: Place): string[] {
  const lines: string[] = []
  let { after, heldBy } = place
  for (const [i, step] of steps.entries()) {
    const before = firstSink(steps.slice(i + 1)) ?? place.before
    lines.push(...stepLines(step, { ...place, after, before, heldBy }))
    if (step.definition.kind === 'step' && step.definition.holdsAnswers) heldBy = step.name
    after = [...after, ...happened(step)]
  }
  return lines
}

function stepLines(step: StepPlan, place: Place): string[] {
  const { definition, name, condition, otherwise, onError, options } = step
  const only = condition === undefined ? '' : `if ${condition.source}: `
  const nested = nestedIn(options)
  const ended = { ...ASIDE, after: place.after }
  return [
    ...(definition.kind === 'sink' ? [only + sinkLine(step, definition)] : []),
    ...(definition.kind === 'step' && definition.promise !== undefined
      ? [only + promiseLine(step, definition, inWords(definition.promise, options), place)]
      : []),
    ...nested.flatMap((one) => nestedLines(step, one, only, place)),
    ...(definition.kind === 'step' && isTrueFor(definition.drops, options) ? droppedLines(step, otherwise, ended) : []),
    ...(onError === undefined ? [] : errorLines(`if ${name} fails`, onError, place.after)),
  ]
}

/** Steps in the options of a step. Where they are all of its options they run here, as if they stood in its place. */
function nestedLines({ name }: StepPlan, { label, steps }: NestedSteps, only: string, place: Place): string[] {
  if (label === '' && only === '') return stepsLines(steps, place)
  return pathLines([`${only}in ${name}`, label].filter((text) => text !== '').join(', '), steps, place)
}

function sinkLine(step: StepPlan, definition: SinkDefinition): string {
  const worth = definition.confirms(step.options)
  const { forMs } = step.retry
  const again = forMs === 0 ? '' : `; tries again for ${formatDuration(forMs)}`
  const { buffer } = step.options as DeliveryOptions
  if (buffer !== undefined) return `${bufferWords(step, buffer)}; then ${deliveryWords(step, definition, buffer)}`
  return `delivers to ${sinkName(step)}: finished when ${definition.finished}, ${worth} (${confirmations[worth]})${again}`
}

/** What a buffer does with a message: "keeps it for sqlite in a disk buffer: finished when …". */
function bufferWords(step: StepPlan, { kind, maxSize, whenFull, maxAge }: BufferOptions): string {
  const { finished, worth } = BUFFERED[kind]
  const full = `when ${formatSize(maxSize)} wait, ${WHEN_FULL[whenFull]}`
  const old = maxAge === 0 ? '' : `; after ${formatDuration(maxAge)} undelivered to the dead letters`
  return `keeps it for ${sinkName(step)}: finished when ${finished}, ${worth} (${confirmations[worth]}); ${full}${old}`
}

function deliveryWords({ options, retry }: StepPlan, definition: SinkDefinition, { kind }: BufferOptions): string {
  const worth = definition.confirms(options)
  const tries = triesOf(kind, retry)
  const again = 'after a crash, what was under way is delivered once more'
  const twice = kind === 'disk' ? `; ${again}` : ''
  return `delivers in order, done when ${definition.finished}, ${worth}; tries again ${tries}${twice}`
}

function triesOf(kind: BufferOptions['kind'], { forMs, max }: StepPlan['retry']): string {
  const most = max === undefined ? '' : `at most ${max} times`
  if (kind === 'disk') return most || 'for as long as it takes'
  return `for ${formatDuration(forMs)}${most && `, ${most}`}`
}

const BUFFERED = {
  memory: { finished: 'it is queued in memory', worth: 'memory' },
  disk: { finished: 'it is on the disk', worth: 'durable' },
} as const

const WHEN_FULL = {
  wait: 'senders are held back',
  drop: 'messages are lost and counted',
  error: 'messages fail',
} as const

function inWords(promise: NonNullable<StepDefinition['promise']>, options: unknown): string {
  return typeof promise === 'string' ? promise : promise(options)
}

function promiseLine(
  step: StepPlan,
  definition: StepDefinition,
  promise: string,
  { after, before, heldBy, isAside }: Place,
): string {
  const content = contentOf(step)
  const what = content === undefined ? promise : `${promise} ${content}`
  const isAcknowledgement = definition.answers === true && content !== undefined && !isForEvents(step)
  if (!isAcknowledgement) return what
  const behind = after.length === 0 ? '' : ` after ${after.join(', and ')}`
  if (isAside) return what + behind
  if (before === undefined) return behind === '' ? `${what}; nothing is stored before that` : what + behind
  const held = `, which ${heldBy} holds back until the steps behind it have finished, ${before} too; without a key`
  return `${what}${behind}${heldBy === undefined ? '' : held}, before ${before} has it: this acknowledges receipt only, and a crash after it loses the message`
}

/** Nobody sent a message that stands for an event, so nothing is acknowledged. */
function isForEvents({ condition }: StepPlan): boolean {
  return /^event\s*==\s*["'](?!message["'])/.test(condition?.source ?? '')
}

function droppedLines(
  { name, options, definition }: StepPlan,
  otherwise: readonly StepPlan[] | undefined,
  place: Place,
): string[] {
  const source = sourceOf(options)
  const what = `what ${name}${source === undefined ? '' : ` (${source})`} drops`
  if (otherwise === undefined && definition.kind === 'step' && definition.answers === true) return []
  return otherwise === undefined
    ? [`${what} ends there without an answer`]
    : pathLines(`${what}, and ends there`, otherwise, place)
}

/** What becomes of what fails and has no `onError` of its step. */
export function failureLines(onError: readonly StepPlan[] | undefined): string[] {
  if (onError === undefined) {
    return [
      'on failure: nothing more is sent for the message, and it goes to the dead letters; so do unreadable frames',
    ]
  }
  return errorLines('on failure where no step says otherwise, unreadable frames included', onError, [])
}

function errorLines(title: string, steps: readonly StepPlan[], after: readonly string[]): string[] {
  const kept = flatten(steps).some(({ definition }) => definition.kind === 'sink' || definition.keeps === true)
  const lines = stepsLines(steps, { ...ASIDE, after })
  const answered = flatten(steps).some(isAnswer)
  return [
    `${title}:`,
    ...indent([
      ...lines,
      ...(answered ? [] : ['no answer is sent']),
      ...(kept ? [] : ['the message is not kept: add a step that keeps it, such as deadLetter']),
    ]),
  ]
}

/** A warning where the user's own code runs unprotected. */
export function userCodeLines(steps: readonly StepPlan[]): string[] {
  const running = flatten(steps).filter(({ definition, options, condition }) => {
    if (definition.kind === 'step' && definition.runsUserCode?.(options) === true) return true
    return condition?.isFunction === true || isFunctionIn(options)
  })
  if (running.length === 0) return []
  const places = running.map(({ id }) => id).join(', ')
  return [
    `warning: your own code runs unprotected on the server's thread, where a slow call delays everybody: ${places}`,
  ]
}

/** What is certain for the steps behind this one. What stands in branches happens only for some messages. */
function happened(step: StepPlan): string[] {
  const { definition, name, options, condition } = step
  const only = condition === undefined ? '' : `, if ${condition.source}`
  if (definition.kind === 'sink') {
    const { buffer } = options as DeliveryOptions
    if (buffer !== undefined) return [`${BUFFERED[buffer.kind].finished} (buffer of ${sinkName(step)}${only})`]
    return [`${definition.finished} (${sinkName(step)}, ${definition.confirms(options)}${only})`]
  }
  const nested = nestedIn(options)
  if (nested.length === 1 && nested[0]!.label === '' && condition === undefined)
    return nested[0]!.steps.flatMap(happened)
  return nested.some(({ steps }) => firstSink(steps) !== undefined) ? [`${name} has finished${only}`] : []
}

function firstSink(steps: readonly StepPlan[]): string | undefined {
  const sink = steps
    .flatMap((step) => [step, ...nestedIn(step.options).flatMap(({ steps }) => flatten(steps))])
    .find(({ definition }) => definition.kind === 'sink')
  return sink && sinkName(sink)
}

function sinkName(step: StepPlan): string {
  return [step.name, targetOf(step)].filter((text) => text !== '').join(' ')
}

/** Whether a step answers with a content. */
export function isAnswer(step: StepPlan): boolean {
  const { definition } = step
  return definition.kind === 'step' && definition.answers === true && contentOf(step) !== undefined
}

/** All steps, with those inside them, beside them and behind their failures. */
export function flatten(steps: readonly StepPlan[]): StepPlan[] {
  return steps.flatMap((step) => [
    step,
    ...nestedIn(step.options).flatMap((nested) => flatten(nested.steps)),
    ...flatten(step.otherwise ?? []),
    ...flatten(step.onError ?? []),
  ])
}

/** Lines below another. */
export function indent(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`)
}
