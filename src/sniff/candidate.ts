import type { Recording } from './recording.ts'
import type { Trial, WrittenPart } from './trial.ts'

/** What the families of framings are given to look at. */
export interface Sample {
  readonly recordings: readonly Recording[]
  /** Everything of all connections. */
  readonly bytes: Buffer
  /** What arrived without a pause, see {@link burstsOf}. */
  readonly bursts: readonly Buffer[]
  try(framing: WrittenPart): Trial
}

/** A framing that may be the right one. */
export interface Candidate {
  readonly framing: WrittenPart
  readonly frames: readonly Buffer[]
  /** How much speaks for it, from 0 to 100: {@link SURE} and {@link LIKELY} are what that means. */
  readonly points: number
  /** Why, one clause each. */
  readonly reasons: readonly string[]
}

/** From so many points on a wrong verdict would be a surprise. */
export const SURE = 85

/** From so many points on it is the best guess, to be checked with more messages. Below, nothing is proposed. */
export const LIKELY = 65

/**
 * The points of a framing that took the bytes, from those that its marks are worth.
 * @returns undefined when it refuses bytes, or finds no frame
 */
export function weigh(trial: Trial, points: number): number | undefined {
  const { frames, refused, rest, agreesWithPauses } = trial
  if (refused || frames.length === 0) return undefined
  // The last message may have been cut by the end of the recording; a single one that is followed by more may not.
  const unfinished = rest === 0 ? 0 : frames.length < 3 ? 30 : 8
  return Math.min(99, points - unfinished + (agreesWithPauses ? 5 : 0) + (frames.length >= 5 ? 2 : 0))
}

/** `1 message`, `3 messages`. */
export function inWords(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

/** The reasons that every trial has. */
export function reasonsOf({ frames, rest, agreesWithPauses }: Trial): string[] {
  return [
    `${inWords(frames.length, 'message')}${rest === 0 ? ', and nothing is left over' : `, and ${inWords(rest, 'byte')} of one that has not ended`}`,
    ...(agreesWithPauses ? ['every pause stands between two messages'] : []),
  ]
}
