import { line } from './line.ts'
import { definePreset } from './preset.ts'

/**
 * IEC 61162-1 (NMEA 0183), section on the sentence structure: a sentence begins with `$` or `!` and ends with CR LF. A tag
 * block (`\…\`) may stand in front of it, so what begins a line is not looked at.
 */
export const nmea = definePreset(line, {
  name: 'nmea',
  summary: 'Takes the sentences of GPS receivers and AIS (NMEA 0183).',
  details:
    'A sentence is a line: it begins with `$` or `!`, and CR LF ends it. LF alone is understood too, because converters ' +
    'drop the CR. The frame has the sentence with its `$`, its checksum, and the tag block in front if there is one. Who ' +
    'connects in the middle of a sentence gets its rest as the first frame: `filter: msg.startsWith("$")` drops it.',
  options: { ending: 'crlf' },
  examples: [
    {
      title: 'A position and an AIS message',
      bytes: '$GPGLL,4916.45,N,12311.12,W*71\\r\\n!AIVDM,1,1,,A,14eG;o@034o8sd<L9i:a;WF>062D,0*7D\\r\\n',
      frames: ['$GPGLL,4916.45,N,12311.12,W*71', '!AIVDM,1,1,,A,14eG;o@034o8sd<L9i:a;WF>062D,0*7D'],
    },
  ],
  alsoCalled: ['gps', 'ais', 'nmea0183', 'nmea-0183'],
})
