# Starts LocalStack on the loopback address only. It takes the port from GATEWAY_LISTEN, but with its Twisted server
# not the IPv4 address, and would answer on every interface of the machine.
import functools

from twisted.internet import endpoints

endpoints.TCP4ServerEndpoint = functools.partial(endpoints.TCP4ServerEndpoint, interface="127.0.0.1")

from localstack.runtime.main import main

main()
