import { appendFileSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import type { Random } from '../../src/testing/random.ts'

/** Bytes at the beginning of a file that say what it is and how it is laid out. */
const HEADER = 128

/**
 * Does to one file of a folder what failing disks, half-finished copies and helpful people do.
 * @returns what was done, for the report
 */
export function damage(folder: string, random: Random): string {
  const files = filesOf(folder)
  const file = random.pick(files)
  const size = statSync(file).size
  const act = random.pick(ACTS)
  return `${relative(folder, file)} (${size} bytes): ${act(file, size, random)}`
}

type Act = (file: string, size: number, random: Random) => string

const ACTS: readonly Act[] = [
  (file, size, random) => flip(file, random.int(0, size - 1), random),
  (file, size, random) => flip(file, random.int(0, Math.min(size, HEADER) - 1), random),
  (file, size, random) => cut(file, random.int(0, size - 1)),
  (file) => cut(file, 0),
  (file, size, random) => overwrite(file, random.int(0, size - 1), random.bytes(512)),
  (file, size, random) => overwrite(file, random.int(0, size - 1), Buffer.alloc(4096)),
  (file, _, random) => {
    appendFileSync(file, random.bytes(1000))
    return '1000 random bytes behind its end'
  },
  (file) => {
    rmSync(file)
    return 'removed'
  },
]

function flip(file: string, at: number, random: Random): string {
  const bytes = readFileSync(file)
  bytes[at]! ^= 1 << random.int(0, 7)
  writeFileSync(file, bytes)
  return `one bit of byte ${at} flipped`
}

function cut(file: string, length: number): string {
  truncateSync(file, length)
  return `cut to ${length} bytes`
}

function overwrite(file: string, at: number, by: Buffer): string {
  const bytes = readFileSync(file)
  by.copy(bytes, at)
  writeFileSync(file, bytes)
  return `overwritten from byte ${at}`
}

function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => statSync(file).size > 0)
    .sort()
}
