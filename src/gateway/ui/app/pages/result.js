// What a tool answered: texts, images, sounds, resources, structured content.
import { bookOf, faults } from '../form/schema.js';
import { pretty, size } from '../format.js';
import { html, useMemo, useState } from '../html.js';
import { Copy, Folded, Json, Tabs } from '../parts.js';

/** A medium may only be what its kind says: a type is a text of a server. @param {any} block @param {string} kind */
function source(block, kind) {
  const type = String(block.mimeType ?? '');
  return new RegExp(`^${kind}/[\\w.+-]+$`).test(type) && /^[A-Za-z0-9+/=\s]*$/.test(block.data ?? '') ? `data:${type};base64,${block.data}` : null;
}

/** @param {string} text */
function parsed(text) {
  if (!/^\s*[[{]/.test(text) || text.length > 2_000_000) return undefined;
  try { return JSON.parse(text); } catch { return undefined; }
}

function Text({ text }) {
  const value = useMemo(() => parsed(text), [text]);
  const [tree, setTree] = useState(true);
  if (value === undefined) return html`<${Folded} text=${text} label="Text of the result" />`;
  return html`<div><div class="block-acts"><button type="button" class="small" onClick=${() => setTree(!tree)}>${tree ? 'As text' : 'As JSON'}</button><${Copy} text=${text} /></div>${tree ? html`<${Json} value=${value} />` : html`<${Folded} text=${text} label="Text of the result" />`}</div>`;
}

/** One block of content. */
export function Content({ block }) {
  if (block?.type === 'text') return html`<${Text} text=${String(block.text ?? '')} />`;
  if (block?.type === 'image') {
    const src = source(block, 'image');
    return src ? html`<figure class="media"><img src=${src} alt="An image that the tool answered" /><figcaption>${block.mimeType}, ${size(block.data.length * 0.75)}</figcaption></figure>` : html`<p class="note">An image of the type ${String(block.mimeType)}, which the page does not show.</p>`;
  }
  if (block?.type === 'audio') {
    const src = source(block, 'audio');
    return src ? html`<figure class="media"><audio controls src=${src} aria-label="A sound that the tool answered"></audio><figcaption>${block.mimeType}, ${size(block.data.length * 0.75)}</figcaption></figure>` : html`<p class="note">A sound of the type ${String(block.mimeType)}, which the page does not play.</p>`;
  }
  if (block?.type === 'resource_link') return html`<p class="resource">Resource <strong>${block.title ?? block.name}</strong> <code>${block.uri}</code>${block.description && html`<span class="dim">${block.description}</span>`}</p>`;
  if (block?.type === 'resource' && block.resource) {
    const { uri, text, blob, mimeType } = block.resource;
    return html`<div class="resource"><p>Resource <code>${uri}</code> <span class="dim">${mimeType}</span></p>${text !== undefined ? html`<${Text} text=${String(text)} />` : html`<${Content} block=${{ type: String(mimeType).split('/')[0], mimeType, data: blob }} />`}</div>`;
  }
  return html`<${Json} value=${block} />`;
}

export function Result({ result, outputSchema }) {
  const [tab, setTab] = useState('content');
  const wrong = useMemo(() => (outputSchema && result.structuredContent !== undefined ? faults(bookOf(outputSchema), result.structuredContent) : []), [result]);
  const tabs = /** @type {[string, string][]} */ ([['content', 'Content'], ...(result.structuredContent !== undefined ? [['structured', 'Structured']] : []), ['raw', 'Whole result']]);
  const blocks = result.content ?? [];
  return html`<div class="result">
    <div class="result-head"><${Tabs} label="The result as" tabs=${tabs} value=${tab} onChange=${setTab} /><${Copy} text=${() => pretty(tab === 'structured' ? result.structuredContent : result)} label="Copy JSON" /></div>
    ${wrong.length > 0 && html`<p class="bad-text">The structured content is not as the tool's outputSchema says: ${wrong.slice(0, 3).map(({ place, text }) => `${place} ${text}`).join('; ')}</p>`}
    <div role="tabpanel" aria-label=${tabs.find(([key]) => key === tab)?.[1]}>
    ${tab === 'content' && (blocks.length ? blocks.map((block, n) => html`<div key=${n} class="block"><${Content} block=${block} /></div>`) : html`<p class="calm">It answered without content.</p>`)}
    ${tab === 'structured' && html`<${Json} value=${result.structuredContent} />`}
    ${tab === 'raw' && html`<${Json} value=${result} />`}
    </div>
  </div>`;
}
