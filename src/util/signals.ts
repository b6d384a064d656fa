import { Numbered } from './numbered.ts'

/**
 * Acts when the signal is aborted, at once if it is already.
 * @returns what takes the wish back
 */
export function whenAborted(signal: AbortSignal, act: () => void): () => void {
  if (signal.aborted) act()
  else signal.addEventListener('abort', act, { once: true })
  return () => signal.removeEventListener('abort', act)
}

/**
 * The same for a signal of ours that lives as long as the server or a delivery, where somebody asks for every message: however
 * many ask, it has one listener, which stays. Adding and removing one for each is what {@link Numbered} avoids. Not for signals
 * that a user brings: Node.js keeps one that `AbortSignal.any` has made as long as it has a listener.
 * @param act must not throw
 */
export function whenStopped(signal: AbortSignal, act: () => void): () => void {
  if (signal.aborted) {
    act()
    return () => {}
  }
  const acts = actsOf(signal)
  let number: number | undefined = acts.add(act)
  return () => {
    if (number !== undefined) acts.take(number)
    number = undefined
  }
}

/**
 * Does something with a signal that is aborted when one of two is. `AbortSignal.any` is for signals that live equally long:
 * beside one that lives as long as the server, what it makes is there until the next full collection.
 * @param a ours; see {@link whenStopped}
 * @param run rejects rather than throws
 */
export function withEither<T>(
  a: AbortSignal,
  b: AbortSignal | undefined,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (b === undefined || b === a) return run(a)
  const either = new AbortController()
  const forgetA = whenStopped(a, () => either.abort(a.reason))
  const forgetB = whenAborted(b, () => either.abort(b.reason))
  return run(either.signal).finally(() => {
    forgetA()
    forgetB()
  })
}

/** Waits for work, but not much longer than until it is late: a destination that never answers must not hold us. */
export function endedOrLate(work: Promise<unknown>, late: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined
    const forget = whenAborted(late, () => {
      timer = setTimeout(resolve, GRACE_MS)
    })
    const settled = () => {
      forget()
      clearTimeout(timer)
    }
    work.finally(settled).then(() => resolve(), reject)
  })
}

/** What is to be done when a signal is aborted. */
const acts = new WeakMap<AbortSignal, Numbered<() => void>>()

function actsOf(signal: AbortSignal): Numbered<() => void> {
  const known = acts.get(signal)
  if (known !== undefined) return known
  const made = new Numbered<() => void>()
  acts.set(signal, made)
  signal.addEventListener('abort', () => made.drain((act) => act()), { once: true })
  return made
}

/** Milliseconds that work may still take after it was told that it is late. */
const GRACE_MS = 1000
