import { describe, test } from 'vitest'
import { formatSuite } from '../testing/format-suite.ts'
import { bytes } from './bytes.ts'
import { hex } from './hex.ts'
import { hl7 } from './hl7.ts'
import { json } from './json.ts'
import { nmea } from './nmea.ts'
import { struct } from './struct.ts'
import { syslog } from './syslog.ts'
import { text } from './text.ts'

describe.each([bytes, hex, hl7, json, nmea, struct, syslog, text])('the format $name', (definition) => {
  for (const { name, run } of formatSuite(definition)) test(name, run)
})
