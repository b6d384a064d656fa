const DAY = 86_400_000

/**
 * The next moment at which the clocks of a time zone show one of some times of day.
 *
 * Where the clocks are set, it does as RFC 5545, section 3.3.5, says: a time that occurs twice is meant the first time, and
 * one that does not occur is counted with the offset before the gap, so that 02:30 comes at 03:30.
 * @param now milliseconds since 1970; the moment is after it
 * @param times milliseconds since midnight; at least one
 * @param zone a name that `Intl` knows
 * @returns milliseconds since 1970
 */
export function nextDaily(now: number, times: readonly number[], zone: string): number {
  const offsetAt = offsetsOf(zone)
  const today = Math.floor((now + offsetAt(now)) / DAY)
  const moments = [0, 1, 2].flatMap((day) => times.map((time) => momentOf((today + day) * DAY + time, offsetAt)))
  return Math.min(...moments.filter((moment) => moment > now))
}

/** Whether `Intl` knows a time zone of this name. */
export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name })
    return true
  } catch {
    return false
  }
}

/** How far the clocks are ahead of UTC at a moment. */
type OffsetAt = (moment: number) => number

/** @param shown what the clocks show, as milliseconds since they showed 1970 */
function momentOf(shown: number, offsetAt: OffsetAt): number {
  const before = offsetAt(shown - DAY)
  const offset = [before, offsetAt(shown + DAY)].find((one) => offsetAt(shown - one) === one)
  return shown - (offset ?? before)
}

function offsetsOf(zone: string): OffsetAt {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  return (moment) => {
    const parts = new Map(format.formatToParts(moment).map(({ type, value }) => [type, Number(value)]))
    const part = (type: Intl.DateTimeFormatPartTypes) => parts.get(type) ?? 0
    const date = Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'))
    return date - Math.floor(moment / 1000) * 1000
  }
}
