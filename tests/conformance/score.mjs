// Runs the conformance suite's command line and judges what it wrote; see `run` beside this file.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const SCENARIO_MS = '20000';
const text = { type: 'string' };
const { values: at, positionals: only } = parseArgs({
  allowPositionals: true,
  options: { cli: text, expected: text, out: text, url: text, spec: text },
});

function suite(out, ...selection) {
  // Scenarios of an extension are of no revision.
  const revision = selection.some(word => word.startsWith('tasks-')) ? [] : ['--spec-version', at.spec];
  const base = [at.cli, 'server', '--url', at.url, ...revision, '--timeout', SCENARIO_MS, '--output-dir', out];
  const { error, stdout, stderr } = spawnSync(process.execPath, [...base, ...selection], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  if (error) throw error;
  return stdout + stderr;
}

// The suite makes a folder `server-SCENARIO-TIME` per scenario; without a checks.json in it the scenario did not finish.
function verdict(folder) {
  const file = join(folder, 'checks.json');
  if (!existsSync(file)) return { passed: 0, warnings: 0, failures: ['it did not finish (timeout or crash)'] };
  const checks = JSON.parse(readFileSync(file, 'utf8'));
  const failures = checks.filter(check => check.status === 'FAILURE');
  const count = status => checks.filter(check => check.status === status).length;
  return {
    passed: count('SUCCESS'),
    warnings: count('WARNING'),
    failures: failures.map(check => `${check.id}: ${check.errorMessage ?? 'no reason given'}`),
  };
}

function expectedFailures() {
  if (!existsSync(at.expected)) return new Set();
  const lines = readFileSync(at.expected, 'utf8').split('\n').map(line => line.replace(/#.*/, '').trim());
  return new Set(lines.filter(line => line !== ''));
}

rmSync(at.out, { recursive: true, force: true });
mkdirSync(at.out, { recursive: true });
const logs = only.length > 0 ? only.map(name => suite(at.out, '--scenario', name)) : [suite(at.out, '--suite', 'all')];

const expected = expectedFailures();
let clean = 0;
let wrong = 0;
const seen = new Set();
for (const folder of readdirSync(at.out).sort()) {
  const name = /^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$/.exec(folder)?.[1];
  if (name === undefined) continue;
  seen.add(name);
  const { passed, warnings, failures } = verdict(join(at.out, folder));
  const known = expected.has(name);
  if (failures.length === 0) clean += 1;
  if (failures.length > 0 && !known) wrong += 1;
  const mark = failures.length === 0 ? (known ? 'clean, though listed as failing' : 'clean') : known ? 'fails as expected' : 'FAILS';
  console.log(`${name}: ${mark} (${passed} passed, ${failures.length} failed, ${warnings} warned)`);
  if (!known) for (const reason of failures) console.log(`    ${reason.slice(0, 400)}`);
}
if (seen.size === 0) {
  console.log(logs.join('\n'));
  console.log('no scenario ran');
  process.exit(2);
}
console.log(`${at.spec}: ${clean} of ${seen.size} scenarios clean, ${wrong} failed that should not`);
process.exit(wrong === 0 ? 0 : 1);
