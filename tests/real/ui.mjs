// Drives the web page in Chromium, as a person would, and prints what came of it as one line of JSON.
//
//   node tests/real/ui.mjs JOURNEY http://127.0.0.1:PORT FOLDER-FOR-SCREENSHOTS
//
// Journeys: `pages` (every page, light and dark, wide and narrow), `tools` (what a server asks is answered in the page),
// `acts` (restart, recording, configuration, sessions), `token` (where there is `auth`).
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const home = process.env.MCPROXY_REAL;
const need = createRequire(`${home}/node_modules/`);
const { chromium } = need('playwright-core');
const axe = readFileSync(need.resolve('axe-core/axe.min.js'), 'utf8');
const [journey, base, shots] = process.argv.slice(2);
mkdirSync(shots, { recursive: true });

/** For a browser and servers that start on a busy machine. */
const PATIENCE = 60_000;
const SIZES = [['light', 1280, 860], ['dark', 1280, 860], ['light', 360, 740], ['dark', 360, 740]];
/** What went wrong, in words. */
const faults = [];
/** What is called in a journey by a name is worth saying so when it fails. */
const done = [];

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-background-networking'],
});

/** A new page, whose errors and requests to elsewhere are faults. `expected`: statuses that the journey provokes. */
async function open([colorScheme, width, height] = SIZES[0], expected = []) {
  const context = await browser.newContext({ colorScheme, viewport: { width, height } });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.on('pageerror', error => faults.push(`an error in the page: ${error.stack}`));
  page.on('console', message => {
    const text = message.text();
    if (['error', 'warning'].includes(message.type()) && !expected.some(status => text.includes(`status of ${status}`))) faults.push(`the console says: ${text}`);
  });
  page.on('request', request => {
    const url = request.url();
    if (!url.startsWith(`${base}/`) && !url.startsWith('data:') && !url.startsWith('blob:')) faults.push(`a request leaves the origin: ${url}`);
  });
  return page;
}

/** Goes to a page and waits until it has what it shows. */
async function go(page, hash) {
  await page.goto(`${base}/ui/#/${hash}`);
  await page.locator('main h1').first().waitFor();
  await page.waitForFunction(() => !document.querySelector('.loading'));
}

/** Takes a picture, and looks whether everybody can read it. */
async function look(page, name, [scheme, width] = SIZES[0]) {
  await page.screenshot({ path: `${shots}/${name}-${scheme}-${width}.png`, fullPage: width < 600 });
  const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  if (over > 0) faults.push(`${name} at ${width} px is ${over} px too wide`);
  await page.evaluate(`${axe};0`);
  const violations = await page.evaluate(async () => (await axe.run(document)).violations.map(({ id, nodes }) => `${id} at ${nodes.slice(0, 3).map(({ target, any }) => `${target.join(' ')} (${any[0]?.message ?? ''})`).join(', ')}`));
  faults.push(...violations.map(text => `axe on ${name}, ${scheme}, ${width} px: ${text}`));
}

const run = page => page.getByRole('button', { name: 'Run', exact: true }).click();
const result = page => page.getByRole('tabpanel', { name: 'Content' });

const journeys = {
  async pages() {
    const all = ['overview', 'server/everything', 'try', 'try/everything__echo', 'calls', 'sessions', 'logs', 'config', 'connect', 'nowhere'];
    for (const size of SIZES) {
      const page = await open(size);
      for (const hash of all) {
        await go(page, hash);
        await look(page, hash.replaceAll('/', '-'), size);
        done.push(hash);
      }
      await page.context().close();
    }
  },

  async tools() {
    const page = await open();
    await go(page, 'try/everything__echo');
    await run(page);
    // What is missing is said at its field, and nothing is sent.
    await page.getByText('message is needed').waitFor();
    await page.getByRole('textbox', { name: 'message' }).fill('<b>from a page</b>');
    await page.keyboard.press('Control+Enter');
    await result(page).getByText('Echo: <b>from a page</b>').waitFor();
    done.push('echo');

    await go(page, 'try/everything__trigger-elicitation-request');
    await run(page);
    const question = page.locator('.question');
    await question.getByRole('heading', { name: 'everything asks you' }).waitFor();
    await look(page, 'elicitation');
    await question.getByLabel('String', { exact: false }).first().fill('Ann of the test');
    await question.getByRole('button', { name: 'Answer' }).click();
    await result(page).getByText('Ann of the test').first().waitFor();
    await look(page, 'elicitation-answered');
    done.push('elicitation');

    await go(page, 'try/everything__trigger-sampling-request');
    await page.getByRole('textbox', { name: 'prompt' }).fill('What is it?');
    await run(page);
    await question.getByRole('heading', { name: 'everything asks for a completion' }).waitFor();
    await look(page, 'sampling');
    await question.getByLabel('Your answer').fill('A tree, says a person');
    await question.getByRole('button', { name: 'Answer' }).click();
    await result(page).getByText('A tree, says a person').first().waitFor();
    done.push('sampling');

    await page.getByText('What this client can do').click();
    await page.getByLabel('Roots, one path or URI a line').fill('/home/of/the/test');
    // This one asks for everything, at once or one after the other; roots are answered without a question to the person.
    await go(page, 'try/a__ask_all');
    await run(page);
    await page.locator('.question h3, .result').first().waitFor();
    while (await question.count()) {
      const heading = await question.locator('h3').elementHandle();
      const words = (await heading.textContent()).includes('completion') ? question.getByLabel('Your answer') : question.getByRole('textbox').first();
      await words.fill('here');
      await question.getByRole('button', { name: 'Answer' }).click();
      await heading.waitForElementState('hidden');
      await page.locator('.question h3, .result').first().waitFor();
    }
    await result(page).getByText('file:///home/of/the/test').first().waitFor();
    done.push('everything at once');

    await go(page, 'try/everything__trigger-long-running-operation');
    await page.getByLabel('duration').fill('3');
    await page.getByLabel('steps').fill('6');
    await run(page);
    await page.locator('.progress').getByText('2 of 6').waitFor();
    await look(page, 'progress');
    await result(page).getByText('Long running operation completed').waitFor();
    done.push('progress');
    await page.getByLabel('duration').fill('600');
    await run(page);
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.locator('.run').getByText('cancelled').waitFor();
    done.push('cancel');

    await go(page, 'try/everything__get-tiny-image');
    await run(page);
    const image = page.locator('.media img');
    await image.waitFor();
    if (!(await image.evaluate(async img => { await img.decode(); return img.naturalWidth > 0; }))) faults.push('the image is not shown');
    done.push('image');

    // A tool of each other server, by what its form says.
    for (const [tool, fields, answer] of JSON.parse(process.env.MCPROXY_TRIES)) {
      await go(page, `try/${tool}`);
      for (const [label, value] of Object.entries(fields)) await page.getByRole('textbox', { name: label }).first().fill(value);
      await run(page);
      await result(page).getByText(answer).first().waitFor();
      done.push(tool);
    }
  },

  async acts() {
    const page = await open();
    await go(page, 'overview');
    await page.getByText('Needs you').waitFor();
    await page.locator('.need').getByText('not set').first().waitFor();
    await page.getByRole('link', { name: 'everything', exact: true }).click();
    await page.getByRole('heading', { level: 1, name: 'everything' }).waitFor();
    await page.getByText('≈').first().waitFor();
    const starts = await page.locator('.timeline .status', { hasText: 'starting' }).count();
    await page.getByRole('button', { name: 'Restart' }).click();
    await page.waitForFunction(before => [...document.querySelectorAll('.timeline .status')].filter(one => one.textContent === 'starting').length > before, starts);
    await page.locator('.head .status', { hasText: 'ready' }).waitFor();
    done.push('restart');

    await go(page, 'calls');
    await page.getByRole('button', { name: /Record bodies/ }).click();
    await page.getByRole('button', { name: /Recording/ }).waitFor();
    await go(page, 'try/everything__echo');
    await page.getByRole('textbox', { name: 'message' }).fill('to be replayed');
    await run(page);
    await result(page).getByText('Echo: to be replayed').waitFor();
    await go(page, 'calls');
    await page.locator('tr', { hasText: 'recorded' }).getByRole('button', { name: /echo/ }).first().click();
    await page.getByText('to be replayed').first().waitFor();
    await look(page, 'call');
    await page.getByRole('link', { name: 'Replay in the form' }).click();
    await page.waitForFunction(() => document.querySelector('.form textarea, .form input')?.value === 'to be replayed');
    await run(page);
    await result(page).getByText('Echo: to be replayed').waitFor();
    done.push('replay');

    await go(page, 'config');
    await page.locator('.code-line.bad', { hasText: 'lisen' }).waitFor();
    done.push('problems at their lines');
    await go(page, 'logs');
    await page.locator('.log-line').first().waitFor();
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download' }).click()]);
    if (!readFileSync(await file.path(), 'utf8').includes('everything')) faults.push('the downloaded log does not name the server');
    done.push('logs');

    // A client with a session shows up, and is sent away.
    await go(page, 'sessions');
    await page.evaluate(() => fetch('/mcp', {
      method: 'POST', headers: { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'a client of the journey', version: '1' } } }),
    }).then(response => response.text()));
    const session = page.locator('.sessions tbody tr', { hasText: 'a client of the journey' });
    await session.getByRole('button', { name: 'End' }).click();
    await session.getByRole('button', { name: 'End it?' }).click();
    await session.waitFor({ state: 'detached' });
    done.push('sessions');

    // By keyboard alone: past the navigation, and to the search field.
    const keys = await open();
    await go(keys, 'calls');
    const focused = what => keys.evaluate(what => document.activeElement?.matches(what), what);
    await keys.keyboard.press('Tab');
    if (!(await focused('.skip'))) faults.push('the first stop of Tab is not the way to the content');
    await keys.keyboard.press('Enter');
    if (!(await focused('h1'))) faults.push('the way to the content does not lead there');
    await keys.keyboard.press('/');
    if (!(await focused('.search'))) faults.push('/ does not lead to the search field');
    await keys.keyboard.type('echo');
    await keys.waitForFunction(() => [...document.querySelectorAll('.row-open')].length > 0 && [...document.querySelectorAll('.row-open')].every(one => one.textContent.includes('echo')));
    done.push('keyboard');
  },

  async token() {
    const page = await open(SIZES[0], [401, 403]);
    await page.goto(`${base}/ui/`);
    await page.getByRole('heading', { name: 'A token, please' }).waitFor();
    await look(page, 'token');
    await page.getByLabel('Token').fill('not a token of this MCProxy');
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByText('does not take this token').waitFor();
    await page.getByLabel('Token').fill(process.env.MCPROXY_READER);
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.locator('.servers tbody tr').first().waitFor();
    await go(page, 'server/everything');
    if (await page.getByRole('button', { name: 'Restart' }).isEnabled()) faults.push('who may not act is offered acts');
    await go(page, 'config');
    await page.getByText('you may not').waitFor();
    done.push('a token that may look');
    await page.getByRole('button', { name: /Forget the token/ }).click();
    await page.getByRole('heading', { name: 'A token, please' }).waitFor();
    await page.getByLabel('Token').fill(process.env.MCPROXY_ADMIN);
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.locator('.code').waitFor();
    await go(page, 'try/everything__echo');
    await page.getByRole('textbox', { name: 'message' }).fill('with a token');
    await run(page);
    await result(page).getByText('Echo: with a token').waitFor();
    done.push('a token that may administer');
  },
};

try {
  await journeys[journey]();
} catch (error) {
  const pages = browser.contexts().flatMap(context => context.pages());
  await pages.at(-1)?.screenshot({ path: `${shots}/failed-${journey}.png` }).catch(() => {});
  faults.push(`after ${done.at(-1) ?? 'nothing'}: ${error.message}`);
}
await browser.close();
console.log(JSON.stringify({ faults, done }));
