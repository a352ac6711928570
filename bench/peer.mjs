// Load the events of bench/gen into DuckDB or ClickHouse, in this process, and ask it
// the statements on standard input: {"queries":[{"name":…,"sql":…}]}, where {ev} stands
// for the table. Prints one JSON line with the times and the rows of each.
//
//   npm install @duckdb/node-api chdb   (in some folder; it is given as --modules)
//   node peer.mjs --system duckdb|chdb --modules FOLDER --data DIR --work SCRATCH [--threads 2] [--runs 7]
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';

const A = { threads: '2', runs: '7' };
for (let i = 2; i < process.argv.length; i += 2) A[process.argv[i].replace(/^--/, '')] = process.argv[i + 1];
const require = createRequire(path.join(path.resolve(A.modules), 'x.js'));
const events = path.resolve(A.data, 'events.jsonl');
const asked = JSON.parse(fs.readFileSync(0, 'utf8')).queries;

async function duckdb() {
  const { DuckDBInstance } = require('@duckdb/node-api');
  const file = path.join(A.work, 'peer.duckdb');
  const clean = () => { for (const f of [file, file + '.wal']) fs.rmSync(f, { force: true }); };
  clean();
  const open = async () => { const i = await DuckDBInstance.create(file, { threads: A.threads }); return [i, await i.connect()]; };
  let [inst, c] = await open();
  await c.run(`create table ev as select * from read_json('${events}', format='newline_delimited', timestampformat='%Y-%m-%dT%H:%M:%S.%gZ',
    columns={time:'TIMESTAMP_MS',token:'VARCHAR',principal:'VARCHAR',src_ip:'VARCHAR',user_agent:'VARCHAR',method:'VARCHAR',host:'VARCHAR',
    path:'VARCHAR',status:'USMALLINT',bytes_out:'UBIGINT',duration_ms:'UINTEGER',request_id:'VARCHAR'})`);
  await c.run('checkpoint');
  c.closeSync(); inst.closeSync?.();
  [inst, c] = await open();
  return {
    ask: async sql => (await c.runAndReadAll(sql.replaceAll('{ev}', 'ev'))).getRows(),
    close: () => { c.closeSync(); inst.closeSync?.(); clean(); },
  };
}

async function chdb() {
  const { Session } = require('chdb');
  const dir = path.resolve(A.work, 'peer.chdb');
  fs.rmSync(dir, { recursive: true, force: true });
  const s = new Session(dir);
  s.query('create database bench');
  s.query(`create table bench.ev (time DateTime64(3,'UTC'), token LowCardinality(String), principal LowCardinality(String), src_ip String,
    user_agent LowCardinality(String), method LowCardinality(String), host LowCardinality(String), path String, status UInt16,
    bytes_out UInt64, duration_ms UInt32, request_id String) engine=MergeTree order by time`);
  s.query(`insert into bench.ev select * from file('${events}', JSONEachRow, 'time DateTime64(3,\\'UTC\\'), token String, principal String,
    src_ip String, user_agent String, method String, host String, path String, status UInt16, bytes_out UInt64, duration_ms UInt32, request_id String')
    settings max_threads=${A.threads}, max_insert_threads=${A.threads}, date_time_input_format='best_effort', max_parsing_threads=${A.threads}`);
  s.query('optimize table bench.ev final');
  return {
    ask: async sql => s.query(sql.replaceAll('{ev}', 'bench.ev') + ` settings max_threads=${A.threads}`, 'JSONCompactEachRow')
      .trim().split('\n').filter(Boolean).map(l => JSON.parse(l)),
    close: () => { s.close?.(); fs.rmSync(dir, { recursive: true, force: true }); },
  };
}

const now = () => Number(process.hrtime.bigint()) / 1e6;
const cpu = () => { const u = process.cpuUsage(); return (u.user + u.system) / 1e3; };
const peer = await { duckdb, chdb }[A.system]();
const out = {};
for (const { name, sql } of asked) {
  const ms = [], cs = [];
  let rows;
  for (let i = 0; i <= +A.runs; i++) {
    const c = cpu(), t = now();
    rows = await peer.ask(sql);
    ms.push(now() - t); cs.push(cpu() - c);
  }
  out[name] = { ms, cpu_ms: cs, rows: rows.map(r => r.map(String)) };
}
peer.close();
console.log(JSON.stringify(out));
