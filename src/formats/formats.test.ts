import { describe, test } from 'vitest'
import { formatSuite } from '../testing/format-suite.ts'
import { base64 } from './base64.ts'
import { bytes } from './bytes.ts'
import { cbor } from './cbor.ts'
import { csv } from './csv.ts'
import { hex } from './hex.ts'
import { hl7 } from './hl7.ts'
import { json } from './json.ts'
import { kaitai } from './kaitai.ts'
import { keyValue } from './key-value.ts'
import { msgpack } from './msgpack.ts'
import { nmea } from './nmea.ts'
import { protobuf } from './protobuf.ts'
import { struct } from './struct.ts'
import { syslog } from './syslog.ts'
import { text } from './text.ts'
import { xml } from './xml.ts'

// As Node.js has it. The test runner's 100 makes a refused frame five times as slow, and there are many here.
Error.stackTraceLimit = 10

const formats = [
  base64,
  bytes,
  cbor,
  csv,
  hex,
  hl7,
  json,
  kaitai,
  keyValue,
  msgpack,
  nmea,
  protobuf,
  struct,
  syslog,
  text,
  xml,
]

describe.each(formats)('the format $name', (definition) => {
  for (const { name, run } of formatSuite(definition)) test(name, run)
})
