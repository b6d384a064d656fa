import { formatId, type Ledger, parseId } from './ledger.ts'
import { NumberRanges } from './number-ranges.ts'

/**
 * One place where messages lie: a sink, a buffer, the dead letters. Its lines come in the order in which they lie there.
 * Where messages move from one place to another while they are read, the one that they leave is read first.
 */
export interface Place {
  readonly name: string
  /** In a place that keeps no order, dead letters for one, order is not checked. */
  readonly ordered: boolean
  lines(): Iterable<string>
  /** What can still be read when the place is damaged, in any order, some of it twice. Never throws. */
  salvage(): Iterable<string>
}

/** What comparing a ledger with what was found has shown. */
export interface Comparison {
  readonly sent: number
  readonly acknowledged: number
  /** Different messages found, in all places together. */
  readonly found: number
  /** Acknowledged and nowhere to be found. It must be 0. */
  readonly missing: number
  /** The first few of them, for a look into the data. */
  readonly missingIds: readonly string[]
  /** Found once more in the same place. Allowed after a crash, within the window of what was in flight. */
  readonly duplicates: number
  /** Found behind a later message of their connection, in a place that keeps order. It must be 0. */
  readonly orderViolations: number
  /** Found and never sent, or not as they were sent: cut short, mixed up. It must be 0. */
  readonly foreign: number
  /** The first few of them. */
  readonly foreignLines: readonly string[]
  /** Found and not acknowledged: the connection ended first. Allowed. */
  readonly unacknowledged: number
}

/** How many ids and lines are kept to be shown. */
const SHOWN = 10

/**
 * Compares what was acknowledged with what is found.
 * @param firstStream streams before this one are not missed: their messages were damaged on purpose
 */
export function compare(ledger: Ledger, places: readonly Place[], firstStream = 1): Comparison {
  const everywhere = ledger.streams.map(() => new NumberRanges())
  const foreignLines: string[] = []
  let foreign = 0
  let duplicates = 0
  let orderViolations = 0
  for (const place of places) {
    const here = ledger.streams.map(() => new NumberRanges())
    const highest = ledger.streams.map(() => 0)
    for (const line of place.lines()) {
      const id = idOf(line, ledger)
      if (id === undefined) {
        if (foreign++ < SHOWN) foreignLines.push(`${place.name}: ${line.slice(0, 60)}`)
        continue
      }
      const i = id.stream - 1
      if (!here[i]!.add(id.number)) duplicates++
      else if (id.number < highest[i]! && place.ordered) orderViolations++
      highest[i] = Math.max(highest[i]!, id.number)
      everywhere[i]!.add(id.number)
    }
  }
  const missingIds: string[] = []
  let missing = 0
  for (const stream of ledger.streams.slice(firstStream - 1)) {
    for (const number of stream.acknowledged.without(everywhere[stream.id - 1]!)) {
      if (missing++ < SHOWN) missingIds.push(formatId(stream.id, number))
    }
  }
  const { sent, acknowledged } = ledger
  const found = everywhere.reduce((sum, { size }) => sum + size, 0)
  const unacknowledged = ledger.streams.reduce(
    (sum, stream) => sum + countOf(everywhere[stream.id - 1]!.without(stream.acknowledged)),
    0,
  )
  return {
    sent,
    acknowledged,
    found,
    missing,
    missingIds,
    duplicates,
    orderViolations,
    foreign,
    foreignLines,
    unacknowledged,
  }
}

/** What must not be, in sentences; empty when all is well. */
export function faultsOf(comparison: Comparison): string[] {
  const { missing, missingIds, orderViolations, foreign, foreignLines } = comparison
  return [
    ...(missing > 0 ? [`${missing} acknowledged messages are missing: ${missingIds.join(', ')} …`] : []),
    ...(orderViolations > 0 ? [`${orderViolations} messages are behind a later one of their connection`] : []),
    ...(foreign > 0 ? [`${foreign} messages are not what was sent: ${foreignLines.join(' | ')}`] : []),
  ]
}

/** @returns undefined for a line that was not sent */
function idOf(line: string, ledger: Ledger): ReturnType<typeof parseId> {
  const id = parseId(line.slice(0, line.indexOf(' ')))
  if (id === undefined || line !== ledger.line(id.stream, id.number)) return undefined
  const stream = ledger.streams[id.stream - 1]
  return stream !== undefined && id.number <= stream.sent ? id : undefined
}

function countOf(numbers: Iterable<number>): number {
  let count = 0
  for (const _ of numbers) count++
  return count
}
