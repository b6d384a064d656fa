import { recognise } from '../observe/recognise.ts'
import type { Registry } from '../registry/registry.ts'
import { type Candidate, LIKELY, type Sample, SURE } from './candidate.ts'
import { findCounted } from './counted.ts'
import { findFormat } from './formats.ts'
import { findMarked } from './marked.ts'
import { burstsOf, bytesOf, type Recording } from './recording.ts'
import { findSeparated } from './separated.ts'
import { findTimed } from './timed.ts'
import { tryFormat, tryFraming, type WrittenPart } from './trial.ts'

/** What a device seems to send. */
export interface Verdict {
  /** `unsure` is said where a proposal might be wrong; framing and format are then `raw` and `bytes`, which never are. */
  readonly confidence: 'sure' | 'likely' | 'unsure'
  readonly framing: WrittenPart
  readonly format: WrittenPart
  /** The messages that the framing finds. */
  readonly frames: readonly Buffer[]
  /** Why, one clause each. */
  readonly reasons: readonly string[]
  /** Framings that fit too, or, where the verdict is `unsure`, what it may be. */
  readonly others: readonly WrittenPart[]
  /** Something else was expected on this port, such as HTTP: one sentence that says what to change. */
  readonly warning: string | undefined
}

export interface AnalyseOptions {
  /** The framings that can be proposed. */
  readonly registry: Registry
  /** We have opened the connection. */
  readonly dialled?: boolean
}

/**
 * Says which framing and format fit what a device has sent. Every proposal has been tried: the real framing takes all
 * bytes of the recordings. It reads no clock and does no I/O.
 * @param recordings one for each connection of the device; those without bytes do not count
 */
export function analyse(recordings: readonly Recording[], { registry, dialled = false }: AnalyseOptions): Verdict {
  const spoken = recordings.filter(({ reads }) => reads.length > 0)
  const parts = spoken.map(bytesOf)
  if (parts.length === 0) return unsure(['nothing has arrived'], [], parts, undefined)
  for (const part of parts) {
    const warning = recognise(part, dialled)
    if (warning !== undefined) return unsure(['these are not the messages of a device'], [], parts, warning)
  }
  const sample: Sample = {
    recordings: spoken,
    bytes: Buffer.concat(parts),
    bursts: spoken.flatMap(burstsOf),
    try: (framing) => tryFraming(framing, spoken, registry),
  }
  const candidates = [findMarked, findCounted, findSeparated, findTimed]
    .flatMap((find) => find(sample))
    .sort((a, b) => b.points - a.points)
  return decide(candidates, parts, registry)
}

function decide(candidates: readonly Candidate[], parts: readonly Buffer[], registry: Registry): Verdict {
  const [best] = candidates
  if (best === undefined) return unsure(['no framing fits all bytes that arrived'], [], parts, undefined)
  const rivals = candidates.filter((one) => one.points > best.points - CLOSE && cutsElsewhere(one, best))
  const points = best.points - (rivals.length > 0 ? DOUBT : 0)
  if (points < LIKELY) {
    const doubt = rivals.length > 0 ? 'several framings fit what arrived' : 'too little speaks for any framing'
    return unsure(
      [doubt, 'more messages would help'],
      [best, ...rivals].map(({ framing }) => framing),
      parts,
      undefined,
    )
  }
  const { format, reason } = findFormat(best.frames, (written) => tryFormat(written, best.frames, registry))
  return {
    confidence: points >= SURE ? 'sure' : 'likely',
    framing: best.framing,
    format,
    frames: best.frames,
    reasons: [...best.reasons, reason],
    others: rivals.map(({ framing }) => framing),
    warning: undefined,
  }
}

function unsure(
  reasons: readonly string[],
  others: readonly WrittenPart[],
  frames: readonly Buffer[],
  warning: string | undefined,
): Verdict {
  return { confidence: 'unsure', framing: 'raw', format: 'bytes', frames, reasons, others, warning }
}

/** Two framings that give the same number of messages from the same bytes cut them at the same places, near enough. */
function cutsElsewhere(one: Candidate, other: Candidate): boolean {
  return one.frames.length !== other.frames.length
}

/** A rival with so few points less is a rival. */
const CLOSE = 8

/** What a rival costs. */
const DOUBT = 10
