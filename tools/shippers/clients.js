// Sends numbered log records by clients that others have written, for Node.js.
//
//     node clients.js elasticsearch-js|splunk-js URL KEY N
//
// Each record is sent until it is taken. Exit code 0: all were.

const record = (name, i) => ({
  time: new Date().toISOString(), method: 'GET', path: `/ship/${name}/${i}`, status: 200, user: `u${i % 7}`, request_id: `${name}-${i}`,
})

async function elasticsearch (name, url, key, n) {
  const { Client } = require('@elastic/elasticsearch')
  const client = new Client({ node: url, auth: { apiKey: key }, maxRetries: 200, requestTimeout: 60000 })
  const dropped = []
  await client.helpers.bulk({
    datasource: (async function * () { for (let i = 0; i < n; i++) yield record(name, i) })(),
    onDocument: () => ({ create: { _index: 'ship' } }),
    flushBytes: 100000,
    retries: 200,
    wait: 200,
    onDrop: (doc) => dropped.push(doc),
  })
  if (dropped.length > 0) throw new Error(`${dropped.length} documents were given up, the first with status ${dropped[0].status}`)
}

async function splunk (name, url, key, n) {
  const { Logger } = require('splunk-logging')
  const logger = new Logger({ url, token: key, maxRetries: 12, maxBatchCount: 0 })
  logger.eventFormatter = (message) => message
  for (let i = 0; i < n;) {
    for (const end = Math.min(n, i + 500); i < end; i++) {
      logger.send({ message: record(name, i), metadata: { sourcetype: '_json', source: 'ship' } })
    }
    await new Promise((resolve, reject) => {
      logger.error = reject
      logger.flush((err, resp, body) => err || body.code !== 0 ? reject(err || new Error(JSON.stringify(body))) : resolve())
    })
  }
}

const [kind, url, key, n] = process.argv.slice(2)
const ship = { 'elasticsearch-js': elasticsearch, 'splunk-js': splunk }[kind]
ship(kind, url, key, Number(n)).then(() => process.exit(0), (err) => { console.error(err); process.exit(1) })
