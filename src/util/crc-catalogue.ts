/** The parameters of a CRC as the catalogue has them, without those that are the same for all of ours. */
export interface CrcParameters {
  readonly width: 8 | 16 | 32
  /** The polynomial without its highest term, highest bit first. */
  readonly polynomial: number
  /** What the register holds at the beginning. */
  readonly init: number
  /** Bits go in and come out lowest first (`refin` and `refout`, which are equal in all of them). */
  readonly reflected: boolean
  /** What the register is combined with at the end. */
  readonly xorout: number
}

const smbus = crc(8, 0x07, 0, false, 0)
const ibm3740 = crc(16, 0x1021, 0xffff, false, 0)
const ibmSdlc = crc(16, 0x1021, 0xffff, true, 0xffff)
const isoHdlc = crc(32, 0x04c11db7, 0xffffffff, true, 0xffffffff)
const iscsi = crc(32, 0x1edc6f41, 0xffffffff, true, 0xffffffff)

/**
 * Parameters from the Catalogue of Parametrised CRC Algorithms (reveng.sourceforge.io/crc-catalogue). What stands first of
 * several names for one is the name by which manuals of devices call it.
 */
export const crcs = {
  crc8: smbus,
  'crc8-smbus': smbus,
  'crc8-autosar': crc(8, 0x2f, 0xff, false, 0xff),
  'crc8-bluetooth': crc(8, 0xa7, 0, true, 0),
  'crc8-darc': crc(8, 0x39, 0, true, 0),
  'crc8-dvb-s2': crc(8, 0xd5, 0, false, 0),
  'crc8-i-432-1': crc(8, 0x07, 0, false, 0x55),
  'crc8-maxim-dow': crc(8, 0x31, 0, true, 0),
  'crc8-nrsc-5': crc(8, 0x31, 0xff, false, 0),
  'crc8-rohc': crc(8, 0x07, 0xff, true, 0),
  'crc8-sae-j1850': crc(8, 0x1d, 0xff, false, 0xff),
  'crc8-tech-3250': crc(8, 0x1d, 0xff, true, 0),
  'crc8-wcdma': crc(8, 0x9b, 0, true, 0),
  'crc16-arc': crc(16, 0x8005, 0, true, 0),
  'crc16-ccitt-false': ibm3740,
  'crc16-ibm-3740': ibm3740,
  'crc16-cdma2000': crc(16, 0xc867, 0xffff, false, 0),
  'crc16-dnp': crc(16, 0x3d65, 0, true, 0xffff),
  'crc16-en-13757': crc(16, 0x3d65, 0, false, 0xffff),
  'crc16-genibus': crc(16, 0x1021, 0xffff, false, 0xffff),
  'crc16-gsm': crc(16, 0x1021, 0, false, 0xffff),
  'crc16-iso-iec-14443-3-a': crc(16, 0x1021, 0xc6c6, true, 0),
  'crc16-kermit': crc(16, 0x1021, 0, true, 0),
  'crc16-maxim-dow': crc(16, 0x8005, 0, true, 0xffff),
  'crc16-mcrf4xx': crc(16, 0x1021, 0xffff, true, 0),
  'crc16-modbus': crc(16, 0x8005, 0xffff, true, 0),
  'crc16-opensafety-a': crc(16, 0x5935, 0, false, 0),
  'crc16-opensafety-b': crc(16, 0x755b, 0, false, 0),
  'crc16-profibus': crc(16, 0x1dcf, 0xffff, false, 0xffff),
  'crc16-spi-fujitsu': crc(16, 0x1021, 0x1d0f, false, 0),
  'crc16-t10-dif': crc(16, 0x8bb7, 0, false, 0),
  'crc16-umts': crc(16, 0x8005, 0, false, 0),
  'crc16-usb': crc(16, 0x8005, 0xffff, true, 0xffff),
  'crc16-x25': ibmSdlc,
  'crc16-ibm-sdlc': ibmSdlc,
  'crc16-xmodem': crc(16, 0x1021, 0, false, 0),
  crc32: isoHdlc,
  'crc32-iso-hdlc': isoHdlc,
  'crc32-aixm': crc(32, 0x814141ab, 0, false, 0),
  'crc32-autosar': crc(32, 0xf4acfb13, 0xffffffff, true, 0xffffffff),
  'crc32-bzip2': crc(32, 0x04c11db7, 0xffffffff, false, 0xffffffff),
  crc32c: iscsi,
  'crc32-iscsi': iscsi,
  'crc32-cksum': crc(32, 0x04c11db7, 0, false, 0xffffffff),
  'crc32-jamcrc': crc(32, 0x04c11db7, 0xffffffff, true, 0),
  'crc32-mpeg-2': crc(32, 0x04c11db7, 0xffffffff, false, 0),
} as const satisfies Readonly<Record<string, CrcParameters>>

function crc(
  width: CrcParameters['width'],
  polynomial: number,
  init: number,
  reflected: boolean,
  xorout: number,
): CrcParameters {
  return { width, polynomial, init, reflected, xorout }
}
