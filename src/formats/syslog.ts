import { defineFormat } from '../contracts/define.ts'
import { type Format, invalidAt } from '../contracts/format.ts'
import { z } from '../contracts/schema.ts'
import type { SyslogMessage } from './syslog-message.ts'
import { readSyslog, SyslogFault } from './syslog-read.ts'
import { writeSyslog } from './syslog-write.ts'
import { text } from './text.ts'

/** Messages of syslog: RFC 5424, and RFC 3164 as far as devices keep to it. */
export const syslog = defineFormat({
  name: 'syslog',
  summary: 'The frame is a message of syslog, RFC 5424 or RFC 3164.',
  details: `Which of the two it is stands in \`msg.rfc\`. \`facility\` and \`severity\` are numbers, \`facilityName\` and \`severityName\`
their names: \`msg.severity <= 3\` is an error or worse. \`host\`, \`app\`, \`pid\` and \`msgId\` are texts, and what is absent is
null. \`data\` has the structured data: \`msg.data["origin"].ip\`; a parameter that stands there several times is a list.

\`timestamp\` is the time in RFC 3339 as it was sent, so that no digit and no zone is lost; \`parseTime(msg.timestamp)\` makes
a time of it. RFC 3164 knows neither year nor zone. A guess would be wrong at the turn of a year and in other places, so such
a time stays a text, in \`localTime\`, and \`timestamp\` is null: \`default(msg.timestamp, received)\` is a time in both cases.
The same holds for a time without a zone, such as \`2026-01-31T12:00:00\`, which some send in the name of RFC 3164.

Of RFC 3164 only the priority is sure. What has no time, host and tag (\`app[pid]:\`) is a \`message\`.

Messages are written as RFC 5424, with \`facility\` user and \`severity\` notice unless these are given; a value with
\`rfc: 3164\` is written in that form. Both may be given by name: \`severity: err\`.

Use it with the framing \`line\`, or with one that counts octets where the sender does (RFC 6587).`,
  options: z.strictObject({
    encoding: text.options.shape.encoding.describe('Name of the encoding, such as latin1. Default utf-8.'),
  }),
  short: 'encoding',
  examples: [
    {
      title: 'RFC 5424',
      bytes:
        '<165>1 2026-01-31T12:00:00.003Z fw1 app 42 ID47 [origin@32473 ip="10.0.0.1" ip="10.0.0.2"] link "eth0" is up',
      value: {
        rfc: 5424,
        facility: 20,
        facilityName: 'local4',
        severity: 5,
        severityName: 'notice',
        timestamp: '2026-01-31T12:00:00.003Z',
        localTime: null,
        host: 'fw1',
        app: 'app',
        pid: '42',
        msgId: 'ID47',
        data: { 'origin@32473': { ip: ['10.0.0.1', '10.0.0.2'] } },
        message: 'link "eth0" is up',
      },
    },
    {
      title: 'RFC 3164',
      bytes: '<34>Oct  1 22:14:15 mymachine su[77]: failed for lonvick',
      value: {
        rfc: 3164,
        facility: 4,
        facilityName: 'auth',
        severity: 2,
        severityName: 'crit',
        timestamp: null,
        localTime: 'Oct  1 22:14:15',
        host: 'mymachine',
        app: 'su',
        pid: '77',
        msgId: null,
        data: {},
        message: 'failed for lonvick',
      },
    },
  ],
  rejects: [
    '',
    'hello',
    '<>x',
    '<192>x',
    '<034>x',
    '<34',
    '<34>1 ',
    '<34>1 2026-01-31T12:00:00Z h a p',
    '<34>1 yesterday h a p m -',
    '<34>1 2026-13-31T12:00:00Z h a p m -',
    '<34>1 - h a p m',
    '<34>1 - h a p m x',
    '<34>1 - h a p m [',
    '<34>1 - h a p m [a b="]',
    '<34>1 - h a p m [a b="]"]',
    '<34>1 - h a p m [a][a]',
    '<34>1 - h a p m [__proto__ a="1"]',
    '<34>1 - h a p m [a __proto__="1"]',
    '<34>1 - h a p m -x',
    '<34>\\xff',
  ],
  create({ encoding }): Format<SyslogMessage> {
    const charset = text.create({ encoding })
    return {
      parse(bytes, start, end) {
        const content = charset.parse(bytes, start, end)
        try {
          return readSyslog(content)
        } catch (error) {
          if (!(error instanceof SyslogFault)) throw error
          const at = start + Buffer.byteLength(charset.print(content.slice(0, error.index)))
          throw invalidAt(error.message, bytes, start, end, at)
        }
      },
      print: (value: unknown) => charset.print(writeSyslog(value)),
      ...(charset.encodeText && { encodeText: charset.encodeText }),
    }
  },
})
