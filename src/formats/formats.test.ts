import { describe, test } from 'vitest'
import { formatSuite } from '../testing/format-suite.ts'
import { base64 } from './base64.ts'
import { bytes } from './bytes.ts'
import { cbor } from './cbor.ts'
import { csv } from './csv.ts'
import { hex } from './hex.ts'
import { json } from './json.ts'
import { keyValue } from './key-value.ts'
import { msgpack } from './msgpack.ts'
import { text } from './text.ts'
import { xml } from './xml.ts'

const formats = [base64, bytes, cbor, csv, hex, json, keyValue, msgpack, text, xml]

describe.each(formats)('the format $name', (definition) => {
  for (const { name, run } of formatSuite(definition)) test(name, run)
})
