# Starts MiniStack, and writes down each decision about a role: its IAM says who may do what, and to no log.
import json
import os

from ministack import app
from ministack.core import iam_evaluator

# It would take the port 443, too, where that is free.
app._port_is_bindable = lambda host, port: False

enforce = iam_evaluator.enforce
decisions = open(os.environ["DECISIONS"], "a", buffering=1)

# IAM has no actions of SQS's batches: each is allowed as its single call is (Service Authorization Reference, Amazon SQS).
BATCHES = {"sqs:SendMessageBatch", "sqs:DeleteMessageBatch", "sqs:ChangeMessageVisibilityBatch"}


def recorded(access_key_id, iam_action, service, region, resource_arn="*", service_context=None):
    if iam_action in BATCHES:
        iam_action = iam_action.removesuffix("Batch")
    denied = enforce(access_key_id, iam_action, service, region, resource_arn, service_context)
    principal = iam_evaluator.caller_arn()
    if ":assumed-role/" in principal:
        decision = {"principal": principal, "action": iam_action, "resource": resource_arn, "allowed": denied is None}
        decisions.write(json.dumps(decision) + "\n")
    return denied


iam_evaluator.enforce = recorded
app.main()
