const DURATION = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 } as const
const SIZE = {
  B: 1,
  kB: 1000,
  KB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
} as const

/**
 * Reads a duration such as `30s`, `1.5h` or `250ms`.
 * @returns milliseconds, or undefined when the text is none
 */
export function parseDuration(text: string): number | undefined {
  return parseUnit(text, DURATION)
}

/**
 * Reads a size such as `64KiB`, `1MiB` or `200B`.
 * @returns bytes, or undefined when the text is none
 */
export function parseSize(text: string): number | undefined {
  const bytes = parseUnit(text, SIZE)
  return bytes === undefined || !Number.isInteger(bytes) ? undefined : bytes
}

/** The shortest exact way to write a duration: 90000 is `90s`. */
export function formatDuration(milliseconds: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    if (milliseconds >= DURATION[unit] && milliseconds % DURATION[unit] === 0) {
      return `${milliseconds / DURATION[unit]}${unit}`
    }
  }
  return `${milliseconds}ms`
}

/** The shortest exact way to write a size: 65536 is `64KiB`. */
export function formatSize(bytes: number): string {
  for (const unit of ['GiB', 'MiB', 'KiB'] as const) {
    if (bytes >= SIZE[unit] && bytes % SIZE[unit] === 0) return `${bytes / SIZE[unit]}${unit}`
  }
  return `${bytes}B`
}

function parseUnit(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]+)$/.exec(text.trim())
  const factor = match && Object.hasOwn(units, match[2]!) ? units[match[2]!] : undefined
  return factor === undefined ? undefined : Number(match![1]) * factor
}
