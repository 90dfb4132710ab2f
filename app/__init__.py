"""The page. It imports gradio and the engine's front door, but neither torch nor diffusers."""
