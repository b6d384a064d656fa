import type { Framing } from '../contracts/framing.ts'
import { size } from '../contracts/schema.ts'

/** The option `maxLength`, the same in every framing. */
export function maxLengthOption() {
  return size()
    .refine((length) => length > 0, 'expected at least one byte')
    .optional()
    .describe(
      'Longest frame that is accepted, as a size such as 64KiB; a longer one closes the connection. ' +
        'Default: limits.maxFrameLength of the endpoint, which holds in any case.',
    )
}

/**
 * The same framing, accepting no payload longer than `maxLength` bytes. What is written is not limited.
 * @param maxLength undefined leaves the framing as it is
 */
export function withMaxLength(framing: Framing, maxLength: number | undefined): Framing {
  if (maxLength === undefined) return framing
  return {
    createDecoder(limit) {
      const longest = Math.min(limit, maxLength)
      return Object.assign(framing.createDecoder(longest), { maxLength: longest })
    },
    encode: (payload, out) => framing.encode(payload, out),
    ...(framing.encodeFrames && { encodeFrames: framing.encodeFrames.bind(framing) }),
  }
}
