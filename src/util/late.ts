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

/** Acts when the signal is aborted, at once if it is already. @returns what takes the wish back */
export function whenAborted(signal: AbortSignal, act: () => void): () => void {
  if (signal.aborted) act()
  else signal.addEventListener('abort', act, { once: true })
  return () => signal.removeEventListener('abort', act)
}

/** Milliseconds that work may still take after it was told that it is late. */
const GRACE_MS = 1000
