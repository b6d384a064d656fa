/** What the fields of a sentence mean, by the names of values. */
export type NmeaValues = Readonly<Record<string, unknown>>

/** A field that is not what its sentence says. */
export class NmeaFault extends Error {
  override readonly name = 'NmeaFault'
  /** Which field, from 1. */
  readonly field: number

  constructor(field: number, text: string, expected: string) {
    super(`field ${field} is ${JSON.stringify(text.slice(0, 40))} instead of ${expected}`)
    this.field = field
  }
}

/**
 * The values of the sentences that everybody sends, from NMEA 0183 (as "NMEA Revealed" by E. S. Raymond, gpsd.gitlab.io,
 * describes it). Angles are degrees, north and east positive; speeds are knots unless the name says otherwise; altitudes
 * are metres. What is empty or absent is null.
 * @returns undefined for a sentence whose fields have no names here
 * @throws NmeaFault
 */
export function readValues(type: string, fields: readonly string[]): NmeaValues | undefined {
  return Object.hasOwn(SENTENCES, type) ? SENTENCES[type]!(new Fields(fields)) : undefined
}

const SENTENCES: Readonly<Record<string, (fields: Fields) => NmeaValues>> = {
  RMC: (fields) => ({
    time: fields.time(1),
    timestamp: fields.timestamp(1, fields.date(9)),
    valid: fields.valid(2),
    lat: fields.angle(3, 90, 'N', 'S'),
    lon: fields.angle(5, 180, 'E', 'W'),
    speed: fields.number(7),
    course: fields.number(8),
    variation: fields.signed(10, 'E', 'W'),
  }),
  GGA: (fields) => ({
    time: fields.time(1),
    lat: fields.angle(2, 90, 'N', 'S'),
    lon: fields.angle(4, 180, 'E', 'W'),
    quality: fields.number(6),
    satellites: fields.number(7),
    hdop: fields.number(8),
    altitude: fields.number(9),
    geoid: fields.number(11),
  }),
  GLL: (fields) => ({
    time: fields.time(5),
    valid: fields.valid(6),
    lat: fields.angle(1, 90, 'N', 'S'),
    lon: fields.angle(3, 180, 'E', 'W'),
  }),
  VTG: (fields) => ({
    course: fields.number(1),
    courseMagnetic: fields.number(3),
    speed: fields.number(5),
    speedKmh: fields.number(7),
  }),
  GSA: (fields) => ({
    fix: fields.number(2),
    used: fields.numbers(3, 14),
    pdop: fields.number(15),
    hdop: fields.number(16),
    vdop: fields.number(17),
  }),
  GSV: (fields) => ({
    part: fields.number(2),
    parts: fields.number(1),
    inView: fields.number(3),
    visible: fields.groups(4).map((at) => ({
      satellite: fields.number(at),
      elevation: fields.number(at + 1),
      azimuth: fields.number(at + 2),
      snr: fields.number(at + 3),
    })),
  }),
  ZDA: (fields) => ({
    time: fields.time(1),
    timestamp: fields.timestamp(1, fields.dateOf(2, 3, 4)),
  }),
  HDT: (fields) => ({ heading: fields.number(1) }),
}

/** Reads fields; they count from 1, as in manuals. */
class Fields {
  readonly #fields: readonly string[]

  constructor(fields: readonly string[]) {
    this.#fields = fields
  }

  number(field: number): number | null {
    return this.#read(field, /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)$/, 'a number', ([text]) => Number(text))
  }

  /** The numbers that are there of some fields. */
  numbers(from: number, to: number): readonly number[] {
    const all = Array.from({ length: to - from + 1 }, (_, i) => this.number(from + i))
    return all.filter((number) => number !== null)
  }

  /** Where groups of four fields begin; from NMEA 4.10 on there is one more field behind them. */
  groups(from: number): readonly number[] {
    const count = Math.floor((this.#fields.length - from + 1) / 4)
    return Array.from({ length: Math.max(0, count) }, (_, i) => from + 4 * i)
  }

  valid(field: number): boolean | null {
    return this.#read(field, /^[AV]$/, 'A or V', ([text]) => text === 'A')
  }

  /** `hhmmss.ss` as `hh:mm:ss.ss`. A leap second is a time. */
  time(field: number): string | null {
    const pattern = /^([01]\d|2[0-3])([0-5]\d)([0-5]\d|60)(\.\d*)?$/
    return this.#read(field, pattern, 'a time such as 123519.00', ([, hours, minutes, seconds, fraction = '']) => {
      return `${hours}:${minutes}:${seconds}${/[1-9]/.test(fraction) ? fraction : ''}`
    })
  }

  /** `ddmmyy`. Satellite navigation began in 1980, so 80 is that year. */
  date(field: number): string | null {
    return this.#read(field, /^(\d\d)(\d\d)(\d\d)$/, 'a date such as 310126', ([text, day, month, year]) => {
      return this.#day(field, text!, `${Number(year) < 80 ? '20' : '19'}${year}`, month!, day!)
    })
  }

  dateOf(dayField: number, monthField: number, yearField: number): string | null {
    const digits = (field: number, length: number) =>
      this.#read(field, new RegExp(`^\\d{1,${length}}$`), 'a number', ([text]) => text!.padStart(length, '0'))
    const [day, month, year] = [digits(dayField, 2), digits(monthField, 2), digits(yearField, 4)]
    if (day === null || month === null || year === null) return null
    return this.#day(dayField, this.#fields[dayField - 1]!, year, month, day)
  }

  /** Date and time in RFC 3339; null when one of them is not there. */
  timestamp(timeField: number, date: string | null): string | null {
    const time = this.time(timeField)
    return date === null || time === null ? null : `${date}T${time}Z`
  }

  /** Degrees and minutes, `ddmm.mmm`, with the hemisphere in the next field. */
  angle(field: number, most: number, positive: string, negative: string): number | null {
    const degrees = this.#read(
      field,
      /^(\d{1,3})(\d\d(?:\.\d*)?)$/,
      'degrees and minutes',
      ([text, whole, minutes]) => {
        const value = Number(whole) + Number(minutes) / 60
        if (value > most || Number(minutes) >= 60) throw new NmeaFault(field, text!, `at most ${most} degrees`)
        // A tenth of a millimetre on the ground.
        return Math.round(value * 1e9) / 1e9
      },
    )
    return this.#withSign(degrees, field + 1, positive, negative)
  }

  /** A number with its direction in the next field. */
  signed(field: number, positive: string, negative: string): number | null {
    return this.#withSign(this.number(field), field + 1, positive, negative)
  }

  #withSign(value: number | null, field: number, positive: string, negative: string): number | null {
    const text = this.#fields[field - 1] ?? ''
    if (text !== '' && text !== positive && text !== negative) {
      throw new NmeaFault(field, text, `${positive} or ${negative}`)
    }
    if (value === null || text === '') return null
    // Adding 0 makes 0 of the negative zero.
    return (text === negative ? -value : value) + 0
  }

  #day(field: number, text: string, year: string, month: string, day: string): string {
    const date = `${year}-${month}-${day}`
    const time = Date.parse(`${date}T00:00:00Z`)
    if (Number.isNaN(time) || new Date(time).toISOString().slice(0, 10) !== date) {
      throw new NmeaFault(field, text, 'a date that exists')
    }
    return date
  }

  #read<T>(field: number, pattern: RegExp, expected: string, make: (match: RegExpExecArray) => T): T | null {
    const text = this.#fields[field - 1] ?? ''
    if (text === '') return null
    const match = pattern.exec(text)
    if (match === null) throw new NmeaFault(field, text, expected)
    return make(match)
  }
}
