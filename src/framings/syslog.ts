import { octetCounting } from './octet-counting.ts'
import { definePreset } from './preset.ts'

/** Syslog over TCP or TLS: RFC 6587, section 3.4, and RFC 5425, section 4.3. */
export const syslog = definePreset(octetCounting, {
  name: 'syslog',
  summary: 'Takes syslog messages, whether their length stands in front or a line end behind.',
  details: 'Each frame is one message, from its priority `<34>` on. What follows a length is taken as it is.',
  options: { detect: true },
  examples: [
    {
      title: 'One sender counts, the other ends lines',
      bytes: '22 <34>1 - host app - - -<13>Nov 28 host app: hi\\n',
      frames: ['<34>1 - host app - - -', '<13>Nov 28 host app: hi'],
    },
  ],
  alsoCalled: ['rsyslog', 'rfc5424', 'rfc3164'],
})
