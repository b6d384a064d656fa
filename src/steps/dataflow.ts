import { defineStep } from '../contracts/define.ts'
import { dataflow as dataflowOption } from '../contracts/schema.ts'

/** Runs a shared dataflow in place. */
export const dataflow = defineStep({
  name: 'dataflow',
  summary: 'Runs an entry of `dataflows:` here; what comes out of it goes on.',
  details:
    'Steps that several endpoints share are written once under `dataflows:` and used by name. Steps may also stand ' +
    'here directly, to give several of them one `if` or one `onError`.',
  options: dataflowOption().describe('The name of an entry of `dataflows:`, or steps.'),
  examples: [
    {
      title: 'Use shared steps by name',
      config: { dataflow: 'clean' },
      dataflows: { clean: [{ filter: 'msg.temp != null' }, { map: { celsius: 'msg.temp' } }] },
      given: [{ temp: 20 }, { temp: null }],
      gives: [{ celsius: 20 }],
    },
    {
      title: 'One condition for several steps',
      config: { dataflow: [{ map: 'msg * 10' }, { filter: 'msg < 100' }], if: 'msg >= 5' },
      given: [1, 5, 50],
      gives: [1, 50],
    },
  ],
  afterInner: () => 'next',
  create: (flow) => ({ runBatch: (batch, failures) => flow.run(batch, failures) }),
})
