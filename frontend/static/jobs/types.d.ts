/** Types for editors, bundlers and `tsc --checkJs`. No browser loads this file. */

/** The states of `jobs/states.py`. */
export type State =
	| "pending" | "running" | "retrying"
	| "complete" | "failed" | "cancelled" | "expired" | "lost";

export interface Progress {
	current: number | null;
	total: number | null;
	/** 0 to 100; null when it is not known */
	percent: number | null;
	message: string;
}

/** A job on the wire. The keys that the handler's `public_data()` returns stand beside these. */
export interface Job {
	id: string;
	state: State;
	/** Microseconds. It only grows. */
	version: number;
	header?: string;
	message?: string;
	progress?: Progress | null;
	eta_seconds?: number | null;
	attempt?: number;
	max_attempts?: number | null;
	/** While the job is retrying: when the next attempt is due. */
	retry_at?: string | null;
	error?: string | null;
	/** The waiting page. */
	url?: string;
	/** ISO 8601 in UTC, like the next two. */
	created_at?: string | null;
	started_at?: string | null;
	ended_at?: string | null;
	/** Only in the list of my jobs (`GET jobs/`): somebody has seen its end. */
	claimed?: boolean;
	[public_data: string]: unknown;
}

export interface Frame {
	event: string;
	job: Job;
	/** The subscriptions of this socket that the frame is for. */
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
	/** The socket's path or its whole address; "" for no socket: then the client polls. */
	url?: string;
	/** The job, if the path names one: the server then subscribes to it by itself. */
	job?: string;
	WebSocket?: SocketClass;
	fetch?: Fetch;
}

export interface SubscribeOptions {
	/** The version of the job that the page already shows. */
	version?: number;
	/** The address to poll for JSON while there is no socket: the job's page, or the list. */
	poll?: string;
	/** Unsubscribes. */
	signal?: AbortSignal;
}

/** What the waiting page does after it posted the ready form. */
export interface Outcome {
	/**
	 * * `go`: go to `url`.
	 * * `wait`: keep waiting, because the job is not ready after all.
	 * * `stale`: only a fresh page helps (CSRF).
	 * * `signed_out`: the reader has to sign in.
	 * * `stuck`: `on_ready` failed.
	 * * `unreachable`: the server did not answer for too long.
	 * * `submit`: submit the form, because only the browser itself can show the response.
	 */
	then: "go" | "wait" | "stale" | "signed_out" | "stuck" | "unreachable" | "submit";
	url?: string;
	frame?: Frame;
}

export type Connected = "socket" | "polling" | "";
export type Fetch = (url: string, init?: RequestInit) => Promise<Response>;
export type SocketClass = new (url: string) => WebSocket;
