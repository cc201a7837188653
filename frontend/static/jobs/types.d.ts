/** Types for editors, bundlers and `tsc --checkJs`; no browser loads this file. */

export interface Progress {
	current: number | null;
	total: number | null;
	/** 0 to 100; null when it is not known */
	percent: number | null;
	message: string;
}

/** A job as the wire tells it; what the handler's `public_data()` returns stands beside these fields. */
export interface Job {
	id: string;
	state: "pending" | "running" | "retrying" | "complete" | "failed" | "cancelled" | "expired" | "lost";
	/** Microseconds; only grows. */
	version: number;
	header?: string;
	message?: string;
	progress?: Progress | null;
	eta_seconds?: number | null;
	attempt?: number;
	max_attempts?: number | null;
	/** While it is retrying: when the next attempt is due. */
	retry_at?: string | null;
	error?: string | null;
	/** The waiting page. */
	url?: string;
	/** ISO 8601 in UTC, as the two below. */
	created_at?: string | null;
	started_at?: string | null;
	ended_at?: string | null;
	/** In the list of my jobs (`GET jobs/`): somebody has seen its end. */
	claimed?: boolean;
	[public_data: string]: unknown;
}

export interface Frame {
	event: string;
	job: Job;
	/** The subscriptions of this socket that it is for. */
	for?: Topic[];
}

/** One of `job`, `mine` and `tag`. */
export interface Topic {
	job?: string;
	mine?: boolean;
	tag?: string;
	ticket?: string;
}

export interface ClientOptions {
	/** The socket's path or whole address; "" for none: then the client polls. */
	url?: string;
	/** The job to which that path subscribes by itself (`ws/jobs/<id>/`). */
	job?: string;
	WebSocket?: SocketClass;
	fetch?: Fetch;
}

export interface SubscribeOptions {
	/** The version of the job that the page shows already. */
	version?: number;
	/** The job's page, which is asked for JSON while there is no socket. */
	poll?: string;
	/** Unsubscribes. */
	signal?: AbortSignal;
}

/** What is to be done after the ready form was posted. */
export interface Outcome {
	/**
	 * `go` to a place; `wait` on (not ready after all); `stale` (CSRF: only a fresh page helps); `signed_out`; `stuck`
	 * (`on_ready` failed); `unreachable`; or `submit` (an answer that only the browser itself can show).
	 */
	then: "go" | "wait" | "stale" | "signed_out" | "stuck" | "unreachable" | "submit";
	url?: string;
	frame?: Frame;
}

export type Connected = "socket" | "polling" | "";
export type Fetch = (url: string, init?: RequestInit) => Promise<Response>;
export type SocketClass = new (url: string) => WebSocket;
