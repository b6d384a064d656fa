import type { Written } from './struct.ts'

/** Whole numbers from 0 to below `limit`, the same for the same seed. */
export type Random = (limit: number) => number

/** A generator of numbers (mulberry32, which is in the public domain). */
export function createRandom(seed: number): Random {
  let state = seed
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit)
  }
}

/** Bytes of a frame, and the values that they mean by their names. */
export interface Sample {
  readonly bytes: Buffer
  readonly row: Readonly<Record<string, unknown>>
}

/** Some fields, and a way to make frames of them that knows nothing of how they are read. */
export interface SampledFields {
  readonly fields: readonly Written[]
  sample(random: Random): Sample
}

/** A layout of up to 13 fields of all kinds. */
export function sampledLayout(random: Random, endian: 'big' | 'little', depth = 0): SampledFields {
  const parts = Array.from({ length: 1 + random(depth === 0 ? 12 : 4) }, (_, i) =>
    sampledPart(random, endian, i, depth),
  )
  if (random(2) === 0) parts.push(skipped(random))
  const sample = (next: Random): Sample => {
    const samples = parts.map((part) => part.sample(next))
    return {
      bytes: Buffer.concat(samples.map(({ bytes }) => bytes)),
      row: Object.assign({}, ...samples.map(({ row }) => row)),
    }
  }
  return { fields: parts.flatMap(({ fields }) => fields), sample }
}

function sampledPart(random: Random, endian: 'big' | 'little', i: number, depth: number): SampledFields {
  const name = `${depth === 0 ? 'f' : 'g'}${i}`
  const kinds = [whole, whole, whole, floating, scaled, named, bits, text, ended, bytes, counted, conditional]
  const kind = kinds[random(depth < 2 ? kinds.length + 1 : kinds.length)] ?? nested
  return kind(name, random, endian, depth)
}

type Kind = (name: string, random: Random, endian: 'big' | 'little', depth: number) => SampledFields

const whole: Kind = (name, random, endian) => {
  const size = 1 + random(8)
  const sign = random(2) === 0 ? 'u' : 'i'
  return {
    fields: [{ name, type: `${sign}${size * 8}` }],
    sample(next) {
      const given = randomBytes(next, size)
      const number = wholeOf(given, sign, endian)
      return { bytes: given, row: { [name]: Number.isSafeInteger(Number(number)) ? Number(number) : String(number) } }
    },
  }
}

const floating: Kind = (name, random, endian) => {
  const size = random(2) === 0 ? 4 : 8
  return {
    fields: [{ name, type: `f${size * 8}` }],
    sample(next) {
      const given = Buffer.alloc(size)
      const value = Math.fround((next(2 ** 24) - 2 ** 23) / 64)
      if (size === 4) given.writeFloatBE(value)
      else given.writeDoubleBE(value)
      return { bytes: endian === 'little' ? given.reverse() : given, row: { [name]: value } }
    },
  }
}

const scaled: Kind = (name, _random, endian) => ({
  fields: [{ name, type: 'i24', scale: 0.25, offset: -40 }],
  sample(next) {
    const given = randomBytes(next, 3)
    return { bytes: given, row: { [name]: Number(wholeOf(given, 'i', endian)) / 4 - 40 } }
  },
})

const named: Kind = (name) => ({
  fields: [{ name, type: 'u8', names: { 0: 'zero', 1: '"];', 255: '__proto__' } }],
  sample(next) {
    const raw = [0, 1, 255, 7][next(4)]!
    const value = { 0: 'zero', 1: '"];', 255: '__proto__' }[raw] ?? raw
    return { bytes: Buffer.from([raw]), row: { [name]: value } }
  },
})

const bits: Kind = (name, random, endian) => {
  const size = 1 + random(6)
  const counts: number[] = []
  for (let left = size * 8; left > 0; left -= counts.at(-1)!) counts.push(1 + random(left))
  return {
    fields: [{ name, type: 'bits', of: counts.map((count, i) => ({ name: `b${i}`, bits: count })) }],
    sample(next) {
      const given = randomBytes(next, size)
      const digits = wholeOf(given, 'u', endian)
        .toString(2)
        .padStart(size * 8, '0')
      let at = 0
      const groups = counts.map((count, i) => {
        at += count
        return [`b${i}`, Number.parseInt(digits.slice(at - count, at), 2)]
      })
      return { bytes: given, row: { [name]: Object.fromEntries(groups) } }
    },
  }
}

const text: Kind = (name, random) => {
  const length = 1 + random(6)
  return {
    fields: [{ name, type: 'text', length }],
    sample(next) {
      const value = randomText(next, length)
      return { bytes: Buffer.from(value.padEnd(length, '\0')), row: { [name]: value } }
    },
  }
}

const ended: Kind = (name) => ({
  fields: [{ name, type: 'text', until: '\r\n', encoding: 'latin1' }],
  sample(next) {
    const value = randomText(next, 9)
    return { bytes: Buffer.from(`${value}\r\n`), row: { [name]: value } }
  },
})

const bytes: Kind = (name) => ({
  fields: [
    { name: `${name}n`, type: 'u8' },
    { name, type: 'bytes', length: `${name}n - 2` },
  ],
  sample(next) {
    const given = randomBytes(next, next(5))
    return {
      bytes: Buffer.concat([Buffer.from([given.length + 2]), given]),
      row: { [`${name}n`]: given.length + 2, [name]: given },
    }
  },
})

const counted: Kind = (name, random, endian, depth) => {
  const { fields, sample } = sampledLayout(random, endian, Math.max(2, depth + 1))
  return {
    fields: [
      { name: `${name}n`, type: 'u8' },
      { name, type: 'array', count: `${name}n`, of: [{ name: 'first', type: 'u8' }, ...fields] },
    ],
    sample(next) {
      const items = Array.from({ length: next(4) }, () => ({ first: next(256), ...sample(next) }))
      return {
        bytes: Buffer.concat([
          Buffer.from([items.length]),
          ...items.flatMap((item) => [Buffer.from([item.first]), item.bytes]),
        ]),
        row: { [`${name}n`]: items.length, [name]: items.map(({ first, row }) => ({ first, ...row })) },
      }
    },
  }
}

const conditional: Kind = (name) => ({
  fields: [
    { name: `${name}k`, type: 'i8' },
    { name, type: 'u16', if: `${name}k > -100 && ${name}k & 0x04 || ${name}k == 9` },
  ],
  sample(next) {
    const [kind = 0] = new Int8Array(randomBytes(next, 1))
    const isThere = (kind > -100 && Number(BigInt(kind) & 4n) !== 0) || kind === 9
    const value = next(256) * 257
    return {
      bytes: Buffer.from(isThere ? [kind, value / 257, value / 257] : [kind]),
      row: { [`${name}k`]: kind, [name]: isThere ? value : null },
    }
  },
})

const nested: Kind = (name, random, endian, depth) => {
  const { fields, sample } = sampledLayout(random, endian, depth + 1)
  return {
    fields: [{ name, type: 'struct', of: fields }],
    sample(next) {
      const inner = sample(next)
      return { bytes: inner.bytes, row: { [name]: inner.row } }
    },
  }
}

/** Bytes that are no part of the value. */
function skipped(random: Random): SampledFields {
  const fill = random(256)
  return {
    fields: [
      { type: 'pad', length: 2, fill },
      { type: 'text', equals: 'k0"];' },
    ],
    sample: () => ({ bytes: Buffer.concat([Buffer.from([fill, fill]), Buffer.from('k0"];')]), row: {} }),
  }
}

function wholeOf(given: Buffer, sign: 'u' | 'i', endian: 'big' | 'little'): bigint {
  const digits = Buffer.from(endian === 'little' ? given.toReversed() : given).toString('hex')
  return BigInt[sign === 'i' ? 'asIntN' : 'asUintN'](given.length * 8, BigInt(`0x${digits}`))
}

function randomBytes(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random(256)))
}

function randomText(random: Random, most: number): string {
  return String.fromCharCode(...Array.from({ length: random(most + 1) }, () => 32 + random(95)))
}
