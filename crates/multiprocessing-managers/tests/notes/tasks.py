def run():
	print("Hello World!")

def shutdown():
	return 'shutdown'
