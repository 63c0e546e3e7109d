// What the page uses of the vendored libraries.
export function h(type: any, props?: any, ...children: any[]): any;
export function render(node: any, parent: Element): void;
export const Fragment: any;
export function useEffect(effect: () => void | (() => void), inputs?: readonly unknown[]): void;
export function useLayoutEffect(effect: () => void | (() => void), inputs?: readonly unknown[]): void;
export function useId(): string;
export function useMemo<T>(make: () => T, inputs: readonly unknown[]): T;
export function useRef<T = any>(value?: T | null): { current: T };
export function useState<T>(value: T | (() => T)): [T, (next: T | ((before: T) => T)) => void];
export interface ReadonlySignal<T> { readonly value: T; peek(): T }
export interface Signal<T> extends ReadonlySignal<T> { value: T }
export function signal<T>(value: T): Signal<T>;
export function computed<T>(compute: () => T): ReadonlySignal<T>;
export function effect(run: () => void | (() => void)): () => void;
export function batch<T>(run: () => T): T;
export const htm: { bind(h: any): (strings: TemplateStringsArray, ...values: any[]) => any };
export interface OutputUnit { instanceLocation: string; keyword: string; keywordLocation: string; error: string }
export function validate(instance: unknown, schema: any, draft?: string, lookup?: any, shortCircuit?: boolean): { valid: boolean; errors: OutputUnit[] };
export function dereference(schema: any, lookup?: any, baseURI?: URL, basePointer?: string): any;
export const format: Record<string, (text: string) => boolean>;
