import { bytes, withoutProto, z } from '../contracts/schema.ts'
import { checksumNames } from '../util/checksum.ts'
import { floatTypes, integerTypes } from './struct-types.ts'

const ALWAYS = 'What stands there in every frame; anything else is refused. A text or bytes then have no length.'

const endian = z.enum(['big', 'little'])

const fieldName = z
  .string()
  .regex(/^[A-Za-z_]\w*$/, 'expected a name of letters, digits and _, such as serial')
  .refine((name) => name !== '__proto__', '__proto__ cannot be used as a name')

const name = fieldName
  .optional()
  .describe('The key of the value. A field without a name is read, checked and written, and is no part of the value.')

const condition = z
  .string()
  .optional()
  .describe(
    'When the field is there, by fields before it: `kind == 2`, `flags.gps && count > 0`, `status & 0x80`. Else its value is null.',
  )

const ownEndian = endian.optional().describe('The byte that comes first, if it is another than for the rest.')

const length = z
  .union([z.int().min(0), z.string()])
  .describe(
    'How many bytes: a number, the name of a field before that says it, such a name with a number (`size - 4`), or `rest`.',
  )

const meaning = {
  scale: z
    .number()
    .refine(isUsable, 'expected a number other than 0')
    .optional()
    .describe('What one step is worth: 235 with the scale 0.1 is 23.5.'),
  offset: z.number().optional().describe('What is added to the scaled number. Default 0.'),
  names: withoutProto(
    z.record(z.string().regex(/^-?\d+$/, 'expected a whole number'), z.string().min(1)).optional(),
  ).describe('Texts for some numbers: `{ 0: off, 1: on }`. Other numbers stay numbers.'),
}

const range = z.strictObject({
  from: fieldName.describe('The first field of those that are counted.'),
  to: fieldName.describe('The last field of those that are counted.'),
  plus: z.int().default(0).describe('What is added to the number of bytes. Default 0.'),
})

const integerField = z.strictObject({
  type: z.enum(integerTypes).describe('A whole number: `u16` has 16 bits, `i16` has 16 bits with a sign.'),
  name,
  endian: ownEndian,
  equals: z.int().optional().describe(ALWAYS),
  ...meaning,
  lengthOf: range
    .optional()
    .describe('The number is the length in bytes of these fields: checked when read, worked out when written.'),
  if: condition,
})

const floatField = z.strictObject({
  type: z.enum(floatTypes).describe('A floating-point number (IEEE 754) of 32 or 64 bits.'),
  name,
  endian: ownEndian,
  if: condition,
})

const bcdField = z.strictObject({
  type: z.literal('bcd').describe('Decimal digits, two in each byte.'),
  name,
  length: z.int().min(1).max(64).describe('A whole number of bytes for `bcd` and `pad`.'),
  endian: ownEndian,
  as: z.enum(['number', 'text']).default('number').describe('A text keeps zeros in front. Default number.'),
  ...meaning,
  if: condition,
})

const bitsField = z.strictObject({
  type: z.literal('bits').describe('Bits of one number.'),
  name,
  endian: ownEndian,
  of: z
    .array(
      z.strictObject({
        name: fieldName
          .optional()
          .describe('The key of the value. Bits without a name are passed over, and written as 0.'),
        bits: z.int().min(1).max(48).default(1).describe('How many bits. Default 1.'),
        ...meaning,
      }),
    )
    .min(1)
    .describe('The groups of bits, from the highest to the lowest: 8, 16, 24, 32, 40 or 48 bits together.'),
  if: condition,
})

const textField = z.strictObject({
  type: z.literal('text').describe('A text.'),
  name,
  length: length.optional(),
  until: bytes().optional().describe('The bytes that end the text, instead of a length: `"\\0"`.'),
  encoding: z
    .enum(['utf-8', 'latin1', 'ascii'])
    .default('utf-8')
    .describe('How characters are written. Default utf-8.'),
  padding: bytes()
    .refine((value) => value.length === 1, 'expected one byte')
    .optional()
    .describe('The byte that fills up a text of a fixed length. Default `"\\0"`.'),
  equals: z.string().min(1).optional().describe(ALWAYS),
  if: condition,
})

const bytesField = z.strictObject({
  type: z.literal('bytes').describe('Bytes.'),
  name,
  length: length.optional(),
  equals: bytes().optional().describe(ALWAYS),
  if: condition,
})

const padField = z.strictObject({
  type: z.literal('pad').describe('Bytes that mean nothing: they are passed over.'),
  length: z.int().min(1).describe('A whole number of bytes for `bcd` and `pad`.'),
  fill: z.int().min(0).max(255).default(0).describe('The byte that is written. Default 0.'),
  if: condition,
})

const checksumField = z.strictObject({
  type: z.literal('checksum').describe('A checksum: checked when read, worked out when written.'),
  name,
  algorithm: z
    .enum(checksumNames)
    .describe('The name of the checksum, such as `crc16-modbus`. It has 1, 2 or 4 bytes.'),
  endian: ownEndian,
  from: fieldName.optional().describe('The first field that it is of. Default: the first of the struct.'),
  to: fieldName.optional().describe('The last field that it is of. Default: the one before the checksum.'),
  if: condition,
})

const structField = z
  .strictObject({
    type: z.literal('struct').describe('Fields together; the value is an object.'),
    name,
    get of(): z.ZodType<FieldOptions[], FieldInput[]> {
      return fields
    },
    if: condition,
  })
  .describe('Fields together.')

const arrayField = z.strictObject({
  type: z.literal('array').describe('The same again and again; the value is a list.'),
  name,
  get of(): z.ZodType<FieldOptions[] | NumberType, FieldInput[] | NumberType> {
    return z
      .union([fields, z.enum([...integerTypes, ...floatTypes])])
      .describe('The fields of an item, or the type of a number.')
  },
  count: z
    .union([z.int().min(0).max(65_535), z.string()])
    .optional()
    .describe('How many items: a number, the name of a field before that says it, or such a name with a number.'),
  length: length.optional(),
  if: condition,
})

/** Fields one behind the other. */
const fields: z.ZodType<FieldOptions[], FieldInput[]> = z
  .array(
    z.discriminatedUnion('type', [
      integerField,
      floatField,
      bcdField,
      bitsField,
      textField,
      bytesField,
      padField,
      checksumField,
      structField,
      arrayField,
    ]),
  )
  .min(1)
  .describe('The fields, in the order in which they stand in the frame.')

/** The options of the format, without what only the whole layout shows. */
export const structOptions = z.strictObject({
  endian: endian
    .default('big')
    .describe('The byte of a number that comes first: `big` is the highest, `little` the lowest. Default big.'),
  fields,
})

export type NumberType = (typeof integerTypes)[number] | (typeof floatTypes)[number]
export type IntegerOptions = z.output<typeof integerField>
export type BitsOptions = z.output<typeof bitsField>
export type TextOptions = z.output<typeof textField>
export type BytesOptions = z.output<typeof bytesField>
export type ChecksumOptions = z.output<typeof checksumField>

export interface StructOptions {
  readonly type: 'struct'
  readonly name?: string | undefined
  readonly of: FieldOptions[]
  readonly if?: string | undefined
}

export interface ArrayOptions {
  readonly type: 'array'
  readonly name?: string | undefined
  readonly of: FieldOptions[] | NumberType
  readonly count?: number | string | undefined
  readonly length?: number | string | undefined
  readonly if?: string | undefined
}

/** A field as it was checked. */
export type FieldOptions =
  | IntegerOptions
  | z.output<typeof floatField>
  | z.output<typeof bcdField>
  | BitsOptions
  | TextOptions
  | BytesOptions
  | (z.output<typeof padField> & { name?: undefined })
  | ChecksumOptions
  | StructOptions
  | ArrayOptions

/** A field as a user writes it. */
export type FieldInput =
  | z.input<typeof integerField>
  | z.input<typeof floatField>
  | z.input<typeof bcdField>
  | z.input<typeof bitsField>
  | z.input<typeof textField>
  | z.input<typeof bytesField>
  | z.input<typeof padField>
  | z.input<typeof checksumField>
  | (Omit<StructOptions, 'of'> & { of: FieldInput[] })
  | (Omit<ArrayOptions, 'of'> & { of: FieldInput[] | NumberType })

function isUsable(scale: number): boolean {
  return scale !== 0
}
