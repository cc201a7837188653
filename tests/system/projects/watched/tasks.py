"""A task that tells which trace it runs in, if OpenTelemetry instruments Celery."""

from celery.signals import worker_process_init
from opentelemetry import trace
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import TracerProvider

from jobs.tasks import job_task


@worker_process_init.connect(weak=False)
def instrument(**_):
    """Trace what this process sends and runs, as OpenTelemetry's documents say."""
    trace.set_tracer_provider(TracerProvider())
    CeleryInstrumentor().instrument()


@job_task
def tell_trace(self):
    """Leave the trace's id in the job's data."""
    self.job.data["trace"] = f"{trace.get_current_span().get_span_context().trace_id:032x}"
