"""Runs moto's S3 server with its access control on; ends when its standard input does."""

from __future__ import annotations

import json
import os
import sys

# The first three calls set up the account; from then on keys, signatures and policies count.
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "3"

import boto3
from moto.server import ThreadedMotoServer

ALLOW_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def main() -> None:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    iam = boto3.client(
        "iam", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none"
    )
    iam.create_user(UserName="test")
    iam.put_user_policy(UserName="test", PolicyName="all", PolicyDocument=json.dumps(ALLOW_ALL))
    key = iam.create_access_key(UserName="test")["AccessKey"]
    print(
        json.dumps({"endpoint": endpoint, "access_key": key["AccessKeyId"], "secret_key": key["SecretAccessKey"]}),
        flush=True,
    )
    sys.stdin.read()


if __name__ == "__main__":
    main()
