// What the gateway answers below /ui/api. The page tolerates unknown and missing members.

export interface About {
  version: string; startedAt: number; now: number; auth: boolean; principal: string | null; mayAct: boolean;
  publicUrl: string | null; endpoints: string[]; configPath: string;
}
export interface Row {
  name: string; state: string; since: number | null; callsPerMinute: number[] | null; callsTotal: number | null; errorsTotal: number | null;
  p50Ms: number | null; p95Ms: number | null; memoryBytes: number | null; restarts: number | null; era: string | null;
  transport: string | null; tools: number | null; tokens: number | null; serverInfo: { name: string; version: string } | null;
  lastError: string | null; remedy: string | null; saying: string | null; inFlight: number | null;
}
export interface Need { kind: string; server: string | null; text: string; remedy: string | null; approval?: string | null; held?: string | null }
export interface State {
  servers: Row[]; needs: Need[];
  gateway: { callsPerSecond: number | null; sessions: number | null; memoryBytes: number | null; buffered: number | null; bufferedMost: number | null };
  totals: { tools: number | null; tokens: number | null };
}
export interface Phases { start: number; approval: number; queue: number; server: number; gateway: number }
export interface Call {
  id: number; at: number; principal: string | null; client: string | null; era: string | null; endpoint: string | null;
  server: string | null; tool: string | null; method: string; argumentBytes: number | null; resultBytes: number | null;
  outcome: string; error: string | null; phases: Phases | null; durationMs: number | null; captured: boolean; replay: boolean;
  arguments?: any; result?: unknown;
}
export interface Capture { until: number | null; by: string | null }
export interface Log { at: number; server: string | null; level: string; text: string; source: string }
export interface Tool {
  name: string; title?: string | null; description?: string | null; inputSchema?: any; outputSchema?: any;
  annotations?: Record<string, unknown> | null; tokens?: number | null;
}
export interface ServerDetail {
  row: Row; history: { at: number; state: string; text: string }[]; stderr: Log[]; entry: unknown; tools: Tool[];
  resources: number | null; prompts: number | null;
}
export interface SessionRow {
  id: string; principal: string | null; client: { name: string; version: string } | null; era: string | null; transport: string | null;
  since: number | null; lastUsed: number | null; calls: number | null; openStreams: number | null; endpoint: string | null;
}
export interface Problem { line: number | null; column: number | null; severity: string; message: string; remedy: string | null }
export interface ConfigView { path: string; text: string | null; problems: Problem[]; pending: { server: string | null; change: string }[] }
