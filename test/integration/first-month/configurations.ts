import { analyserServer } from './analyser-server.ts'
import { chatRooms } from './chat-rooms.ts'
import { hl7 } from './hl7.ts'
import { panel } from './panel.ts'
import { plc } from './plc.ts'
import { printer } from './printer.ts'
import { relayCompare } from './relay-compare.ts'
import { scales } from './scales.ts'
import { scanner } from './scanner.ts'
import { syslogTwice } from './syslog-twice.ts'
import { tracker } from './tracker.ts'

/** All of them, in the order in which they are mostly asked for. */
export const firstMonth = [
  scanner,
  scales,
  hl7,
  tracker,
  printer,
  panel,
  plc,
  syslogTwice,
  chatRooms,
  relayCompare,
  analyserServer,
]
